"""The audio uploader in a real JupyterLab: what the page shows, and what the kernel has."""

import hashlib
import os
import re
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from axe_playwright_python.sync_playwright import Axe
from lab import PATIENCE, Lab, Notebook
from scripted_speech import ScriptedSpeech

AUDIO = Path(__file__).parents[1] / "audio"
MIB = 2**20
FAKE_DEVICE = "--use-fake-device-for-media-stream"
HELD = "import os, time\nopen({flag!r} + '.on', 'w').close()\nwhile not os.path.exists({flag!r}):\n    time.sleep(0.02)"
AT_SHARE = """([n, share, then]) => new Promise((resolve, reject) => {
    const root = document.querySelectorAll('.ck-uploader')[n];
    let begun = false;
    const look = () => {
        const bar = root.querySelector('.ck-uploading progress');
        begun ||= root.dataset.phase === 'uploading';
        if (begun && root.dataset.phase !== 'uploading') return reject(new Error(`over: ${root.dataset.phase}`));
        if (!begun || bar.value < share) return requestAnimationFrame(look);
        if (then === 'cancel') root.querySelector('.ck-uploading button').click();
        if (then === 'load again') location.reload();
        resolve(bar.value);
    };
    look();
})"""


REMEMBER_LOUDEST = """() => {
    const level = document.querySelector('.ck-level .ck-fill');
    window.loudest = 0;
    const look = () => { window.loudest = Math.max(window.loudest, parseFloat(level.style.transform.split('(')[1]) || 0) };
    new MutationObserver(look).observe(level, { attributes: true });
}"""
"""What the microphone hears is soon over: the page is watched from the beginning."""
CLICK_WHEN = """([name, time]) => new Promise((resolve) => {
    const timer = document.querySelector('.ck-timer');
    const look = () => {
        if (timer.textContent < time) return requestAnimationFrame(look);
        const shown = timer.textContent;
        [...document.querySelectorAll('.ck-recording button')].find((node) => node.textContent === name).click();
        resolve(shown);
    };
    look();
})"""
"""Click in the moment at which the timer shows that time; what it shows then."""


class Uploader:
    """An audio uploader on the page."""

    def __init__(self, notebook: Notebook, page: Any = None, nth: int = 0) -> None:
        self.notebook = notebook
        self.page = page or notebook.page
        self.nth = nth
        self.root = self.page.locator(".ck-uploader").nth(nth)
        self.lines = self.root.locator(".ck-line-text")
        self.error = self.root.locator(".ck-error")
        self.notice = self.root.locator(".ck-notice")

    def wait_phase(self, phase: str, timeout: float = PATIENCE) -> None:
        self.page.wait_for_function(
            "([n, phase]) => document.querySelectorAll('.ck-uploader')[n]?.dataset.phase === phase",
            arg=[self.nth, phase],
            timeout=timeout,
        )

    def wait_words(self, selector: str, words: str) -> None:
        self.page.wait_for_function(
            "([n, at, words]) => document.querySelectorAll('.ck-uploader')[n]?.querySelector(at)?.textContent.includes(words)",
            arg=[self.nth, selector, words],
        )

    def choose(self, path: Path) -> None:
        self.root.locator("input[type=file]").set_input_files(path)

    def choose_and_wait(self, path: Path) -> None:
        self.choose(path)
        self.page.wait_for_function(
            """([n, name]) => {
                const root = document.querySelectorAll('.ck-uploader')[n];
                return root.dataset.phase === 'ready' && root.querySelector('.ck-audio .ck-filename').textContent === name;
            }""",
            arg=[self.nth, path.name],
            timeout=PATIENCE,
        )

    def drop(self, name: str, text: str) -> None:
        """Drop a file of that name on the uploader."""
        self.root.evaluate(
            """(root, [name, text]) => {
                const dataTransfer = new DataTransfer();
                dataTransfer.items.add(new File([text], name));
                for (const type of ['dragenter', 'dragover', 'drop']) {
                    root.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
                }
            }""",
            [name, text],
        )

    def cancel_at(self, share: float) -> None:
        """Cancel an upload in the moment in which that share of it is acknowledged."""
        self.page.evaluate(AT_SHARE, [self.nth, share, "cancel"])

    def load_again_at(self, share: float) -> None:
        """Have the page load itself again in that moment: by the time a test has heard of it, all may have been sent."""
        with self.page.expect_navigation(timeout=PATIENCE):
            self.page.evaluate(f"(given) => {{ void ({AT_SHARE})(given) }}", [self.nth, share, "load again"])
        self.notebook.wait_for_kernel()

    def button(self, name: str) -> Any:
        return self.root.get_by_role("button", name=name, exact=True)

    def python(self, expression: str) -> Any:
        return self.notebook.python(expression)

    def wait_file(self, path: Path) -> None:
        """Let the page run until the kernel has made that file."""
        for _ in range(3000):
            if path.exists():
                return
            self.page.evaluate("new Promise(requestAnimationFrame)")
        pytest.fail(f"{path} was never made")

    def until(self, expression: str) -> None:
        """Wait until an expression in the kernel is true."""
        for _ in range(600):
            if self.python(f"bool({expression})"):
                return
            self.page.evaluate("new Promise(requestAnimationFrame)")
        pytest.fail(f"waited in vain for {expression}")


@pytest.fixture(scope="module")
def speech() -> Iterator[ScriptedSpeech]:
    server = ScriptedSpeech()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _fresh_speech(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "speech" in request.fixturenames:
        server = request.getfixturevalue("speech")
        server.let_go()
        server.requests.clear()


def setup(speech: ScriptedSpeech, more: str = "") -> str:
    return "\n".join(
        [
            "import chatkit",
            f"client = chatkit.connect(base_url={speech.base_url!r}, api_key='sk-test', quiet=True)",
            f"uploader = chatkit.AudioUploader(model='whisper-1', client=client{more})",
            "uploader",
        ]
    )


def write(notebook: Notebook, cell: int, code: str) -> None:
    notebook.page.evaluate(
        """([cell, code]) =>
            window.jupyterapp.shell.currentWidget.content.widgets[cell].model.sharedModel.setSource(code)""",
        [cell, code],
    )


@pytest.fixture
def uploader(reopened: Callable[..., Notebook], speech: ScriptedSpeech) -> Uploader:
    notebook = reopened(setup(speech), "", "")
    notebook.run(0)
    shown = Uploader(notebook)
    shown.wait_phase("empty")
    return shown


def write_wav(path: Path, size: int) -> str:
    """A WAV file of exactly so many bytes, no two MiB of which are alike; its SHA-256."""
    block = hashlib.shake_256(b"noise").digest(MIB)
    with wave.open(str(path), "wb") as file:
        file.setparams((8, 4, 192_000, 0, "NONE", ""))
        left, number = size - 44, 0
        while left:
            file.writeframesraw((number.to_bytes(32, "little") + block[32:])[:left])
            left, number = left - min(left, MIB), number + 1
    assert path.stat().st_size == size
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("big") / "long talk.wav"
    return path, write_wav(path, 200 * MIB + 12)


GROWTH = """
def peak():
    return int(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))
def forget_peak():
    open('/proc/self/clear_refs', 'w').write('5')
    return peak()
def sha():
    import hashlib
    with open(uploader.audio, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
"""


def test_9_11_40_and_200_mib_arrive_whole_and_the_kernel_grows_by_less_than_16_mb(
    uploader: Uploader, big: tuple[Path, str], tmp_path: Path
):
    write(uploader.notebook, 1, GROWTH)
    uploader.notebook.run(1)
    files = [(tmp_path / f"{n} MiB.wav", n) for n in (9, 11, 40)]
    shas = {path: write_wav(path, n * MIB) for path, n in files} | {big[0]: big[1]}
    grown = {}
    for path, sha in shas.items():
        before = uploader.python("forget_peak()")
        uploader.choose_and_wait(path)
        grown[path.name] = uploader.python("peak()") - before
        facts = (
            "[sha(), uploader.audio.name, uploader.audio.size, len(list(uploader.audio.path.parent.glob('audio-*')))]"
        )
        assert uploader.python(facts) == [sha, path.name, path.stat().st_size, 1]
    assert max(grown.values()) < 16_000, grown  # kB
    assert uploader.python(
        "[oct(uploader.audio.path.stat().st_mode), oct(uploader.audio.path.parent.stat().st_mode)]"
    ) == [
        "0o100600",
        "0o40700",
    ]


def test_an_upload_is_cancelled_in_the_middle_and_the_next_one_works(uploader: Uploader, big: tuple[Path, str]):
    uploader.choose(big[0])
    uploader.cancel_at(0.2)
    uploader.wait_phase("empty")
    uploader.until("uploader._inbox.incoming is None")
    assert uploader.python("[uploader.audio, list(map(str, uploader._inbox._folder.glob('audio-*')))]") == [None, []]
    uploader.choose_and_wait(AUDIO / "english.flac")


@pytest.mark.own_page
def test_an_upload_goes_on_after_the_page_was_loaded_again(uploader: Uploader, tmp_path: Path):
    path = tmp_path / "talk.wav"
    size = 96 * MIB
    sha = write_wav(path, size)
    count = "import chatkit.ui.inbox as inbox\nput, taken = inbox.Incoming.put, [0]\ndef counted(self, offset, data):\n    taken[0] += data.nbytes\n    return put(self, offset, data)\ninbox.Incoming.put = counted"
    write(uploader.notebook, 1, count + GROWTH)
    uploader.notebook.run(1)
    uploader.notebook.command("docmanager:save")
    uploader.choose(path)
    uploader.load_again_at(0.3)
    uploader.wait_words(".ck-rest", "is here in part")
    had = uploader.python("uploader._inbox.incoming.have")
    assert had >= 0.3 * size
    uploader.choose_and_wait(path)
    assert uploader.python("sha()") == sha
    # from the beginning again it would be 0.3 of it more; twice there is at most what two pages had on the way: the one that went, and the new one before the kernel had heard all of it
    assert uploader.python("taken[0]") <= size + 2 * 8 * MIB


@pytest.mark.own_page
def test_a_file_that_only_looks_the_same_is_sent_from_its_beginning(uploader: Uploader, tmp_path: Path):
    first, second = tmp_path / "a" / "talk.wav", tmp_path / "b" / "talk.wav"
    for path in (first, second):
        path.parent.mkdir()
        write_wav(path, 40 * MIB)
    with second.open("r+b") as file:
        file.seek(3 * MIB)
        file.write(b"another middle" * 300_000)
    os.utime(second, (first.stat().st_atime, first.stat().st_mtime))
    write(uploader.notebook, 1, GROWTH)
    uploader.notebook.run(1)
    uploader.notebook.command("docmanager:save")
    uploader.choose(first)
    uploader.load_again_at(0.1)
    uploader.wait_words(".ck-rest", "is here in part")
    uploader.choose_and_wait(second)
    assert uploader.python("sha()") == hashlib.sha256(second.read_bytes()).hexdigest()


def cut_wav(clip: str, path: Path, seconds: float) -> Path:
    """The beginning of a clip, as a WAV file."""
    with av.open(str(AUDIO / clip)) as source, wave.open(str(path), "wb") as file:
        resampler = av.AudioResampler("s16", "mono", 48_000)
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        frames = (again for frame in source.decode(audio=0) for again in resampler.resample(frame))
        sound = b"".join(frame.to_ndarray().tobytes() for frame in frames)
        file.writeframes(sound[: int(seconds * 48_000) * 2])
    return path


def words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


@pytest.fixture(scope="module")
def talking(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser with a microphone that hears the first sentence of a clip."""
    wav = cut_wav("library.flac", tmp_path_factory.mktemp("said") / "said.wav", 2.4)
    capture = f"--use-file-for-fake-audio-capture={wav}%noloop"
    profile = tmp_path_factory.mktemp("talking")
    context = chromium.remembering(profile, "--use-fake-ui-for-media-stream", FAKE_DEVICE, capture)
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def talking_page(talking: Any) -> Iterator[Any]:
    """A page of it."""
    page = talking.new_page()
    yield page
    page.close()


def test_the_microphone_is_recorded_in_parts_and_heard_by_the_local_whisper(
    talking_page: Any, lab: Lab, request: pytest.FixtureRequest
):
    notebook = Notebook(talking_page, lab, request.node.name)
    notebook.open("import chatkit\nuploader = chatkit.AudioUploader()\nuploader", "")
    notebook.run(0)
    uploader = Uploader(notebook)
    uploader.wait_phase("empty")
    uploader.page.evaluate(REMEMBER_LOUDEST)
    uploader.button("Record").click()
    uploader.wait_phase("recording")
    uploader.until("uploader._inbox.incoming and uploader._inbox.incoming.have > 1000")
    uploader.page.wait_for_function("window.loudest > 0.3")
    uploader.notebook.screenshot("uploader-recording", uploader.root)
    paused = uploader.page.evaluate(CLICK_WHEN, ["Pause", "0:03"])
    assert uploader.button("Resume").is_visible()
    assert uploader.root.locator(".ck-timer").inner_text() == paused
    uploader.page.evaluate(CLICK_WHEN, ["Resume", ""])
    uploader.page.evaluate(CLICK_WHEN, ["Finish", ""])
    uploader.wait_phase("ready")
    assert uploader.python("uploader.audio.path.suffix") == ".webm"
    seconds = int(paused.removeprefix("0:"))
    assert seconds - 0.5 < uploader.python("uploader.audio.duration") < seconds + 3
    # the container says no duration; the player finds it out
    uploader.page.wait_for_function("Number.isFinite(document.querySelector('.ck-player').duration)")
    uploader.button("Transcribe").click()
    uploader.lines.first.wait_for(timeout=120_000)
    assert words(uploader.python("uploader.transcript.text")) == "our library opens early in the morning"
    assert uploader.root.locator(".ck-price").inner_text() == "cost 0 (local)"
    notebook.shut_down()


def test_a_recording_whose_page_was_closed_is_still_there(talking_page: Any, lab: Lab, request: pytest.FixtureRequest):
    notebook = Notebook(talking_page, lab, request.node.name)
    notebook.open("import chatkit\nuploader = chatkit.AudioUploader()\nuploader", "")
    notebook.run(0)
    notebook.command("docmanager:save")
    uploader = Uploader(notebook)
    uploader.wait_phase("empty")
    uploader.button("Record").dblclick()
    uploader.wait_phase("recording")
    uploader.until("uploader._inbox.incoming and uploader._inbox.incoming.seconds >= 2")
    talking_page.reload()
    notebook.wait_for_kernel()
    uploader.wait_words(".ck-rest", "A recording of 0:0")
    uploader.button("Use what came").click()
    uploader.wait_phase("ready")
    assert uploader.python("uploader.audio.duration") >= 1.9
    assert uploader.python("uploader.audio.name").endswith(".webm")
    # the sound comes back from the kernel when somebody wants to hear it
    uploader.root.get_by_role("button", name=re.compile("Listen")).click()
    uploader.page.wait_for_function("document.querySelector('.ck-player').duration >= 1.9")
    notebook.shut_down()


def test_a_file_is_transcribed_once_edited_heard_saved_and_put_into_the_chats_box(
    uploader: Uploader, speech: ScriptedSpeech, tmp_path: Path
):
    notebook = uploader.notebook
    write(notebook, 1, "panel = chatkit.ChatPanel(client=client, model='scripted')\nuploader.panel = panel\npanel")
    notebook.run(1)
    speech.hold()
    uploader.choose_and_wait(AUDIO / "english.flac")
    assert uploader.root.locator(".ck-facts").first.inner_text() == "0:09 · 175 kB"
    assert uploader.root.locator(".ck-price").inner_text() == "cost unknown"
    uploader.button("Transcribe").dblclick()
    uploader.wait_words(".ck-job-words", "Listening…")
    uploader.wait_phase("working")
    notebook.screenshot("uploader-working", uploader.root)
    speech.let_go()
    uploader.wait_phase("ready")
    uploader.lines.nth(3).wait_for()
    assert [request.path for request in speech.requests] == ["/v1/audio/transcriptions"]
    assert uploader.root.locator(".ck-spoken").text_content() == "Transcript ready"
    assert uploader.root.locator(".ck-caption").inner_text() == "English · 0:09 · whisper-1 · cost unknown"

    # what was said is text, whatever it is
    assert uploader.lines.nth(1).inner_text() == "Welcome to <b>Brazil</b>."
    assert uploader.root.locator(".ck-lines b").count() == 0

    uploader.lines.nth(0).fill("Good evening, everyone.")
    uploader.page.keyboard.press("Enter")
    uploader.until("uploader.transcript.segments[0].text == 'Good evening, everyone.'")
    assert uploader.python("uploader.transcript.text.startswith('Good evening, everyone. Welcome to')")
    uploader.lines.nth(3).fill("Let us end.")
    for form, begin in (("srt", "1\n00:00:00,000 --> "), ("vtt", "WEBVTT"), ("txt", "Good evening"), ("json", "{")):
        uploader.root.get_by_label("Format").select_option(form)
        with uploader.page.expect_download() as download:
            uploader.button("Download").click()
        download.value.save_as(tmp_path / form)
        saved = (tmp_path / form).read_text(encoding="utf-8")
        assert download.value.suggested_filename == f"english.{form}"
        assert saved.startswith(begin)
        assert "Good evening, everyone." in saved
        assert "Let us end." in saved

    uploader.button("Play from 0:05").click()
    uploader.page.wait_for_function("document.querySelector('.ck-player').currentTime > 5.1")
    uploader.page.wait_for_function(
        "document.querySelector('.ck-line.ck-now .ck-time').textContent.startsWith('0:0') && document.querySelectorAll('.ck-now[aria-current]').length === 1"
    )
    uploader.page.evaluate("document.querySelector('.ck-player').pause()")
    notebook.screenshot("uploader-transcript", uploader.root)

    uploader.button("Send to chat").click()
    uploader.wait_words(".ck-notice", "The text is in the chat's box.")
    box = notebook.page.get_by_label("Your message", exact=True)
    assert box.input_value().startswith("Good evening, everyone. Welcome to <b>Brazil</b>.")
    assert uploader.python("[len(panel.chat.conversation), panel.chat.run]") == [0, None]
    assert len(speech.requests) == 1

    saved = notebook.save_with_widgets()
    assert "application/vnd.jupyter.widget-state+json" in saved
    assert not any(word in saved for word in ("everyone", "english.flac"))
    assert "sk-test" not in saved.replace("api_key='sk-test'", "")
    assert "AudioUploader: run this cell to turn speech into text here." in saved


@pytest.mark.parametrize("by", ["choosing", "dropping", "recording", "listening again"])
def test_a_corrected_transcript_is_replaced_only_if_that_is_meant(
    uploader: Uploader, speech: ScriptedSpeech, tmp_path: Path, by: str
):
    replaces = {
        "choosing": lambda: uploader.choose(AUDIO / "library.flac"),
        "dropping": lambda: uploader.drop("other.flac", "no audio"),
        "recording": lambda: uploader.root.locator(".ck-audio").get_by_role("button", name="Record").click(),
        "listening again": lambda: uploader.button("Transcribe").click(),
    }
    uploader.choose_and_wait(AUDIO / "english.flac")
    uploader.button("Transcribe").click()
    uploader.wait_phase("ready")
    uploader.lines.nth(3).wait_for()
    ask = uploader.root.locator(".ck-ask")
    assert ask.is_hidden()
    uploader.lines.nth(0).fill("Good evening, everyone.")
    replaces[by]()
    ask.wait_for()
    assert len(speech.requests) == 1
    uploader.button("Keep it").click()
    ask.wait_for(state="hidden")
    uploader.until("uploader.transcript.segments[0].text == 'Good evening, everyone.'")
    if by == "listening again":
        replaces[by]()
        uploader.button("Replace it").click()
        uploader.until("uploader.transcript.segments[0].text != 'Good evening, everyone.'")
        assert len(speech.requests) == 2


def test_recognition_starts_and_is_cancelled_beside_a_running_cell(
    uploader: Uploader, speech: ScriptedSpeech, tmp_path: Path
):
    speech.hold()
    uploader.choose_and_wait(AUDIO / "english.flac")
    write(uploader.notebook, 1, HELD.format(flag=str(tmp_path / "flag")))
    uploader.notebook.start(1)
    uploader.wait_file(tmp_path / "flag.on")
    uploader.button("Transcribe").click()
    uploader.wait_words(".ck-job-words", "Listening…")
    uploader.root.locator(".ck-job").get_by_role("button", name="Cancel").click()
    uploader.wait_phase("ready")
    uploader.wait_words(".ck-notice", "Cancelled.")
    assert speech.requests[0].wait_gone()
    (tmp_path / "flag").touch()
    uploader.notebook.wait_for_end(1)
    assert uploader.python("uploader.transcript") is None


@pytest.mark.own_page
def test_where_messages_wait_behind_a_cell_it_says_so(notebook: Notebook, speech: ScriptedSpeech, tmp_path: Path):
    notebook.open(setup(speech), HELD.format(flag=str(tmp_path / "flag")))
    # without subshells no message is taken while a cell blocks
    notebook.page.evaluate("""() => {
        const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
        window.jupyterapp.serviceManager.kernels.commsOverSubshells = kernel.commsOverSubshells = 'disabled';
        Object.defineProperty(kernel, 'supportsSubshells', { get: () => false });
    }""")
    notebook.run(0)
    uploader = Uploader(notebook)
    uploader.wait_phase("empty")
    notebook.start(1)
    uploader.wait_file(tmp_path / "flag.on")
    uploader.choose(AUDIO / "english.flac")
    uploader.wait_words(".ck-notice", "Waiting for the running cell…")
    notebook.screenshot("uploader-waiting", uploader.root)
    (tmp_path / "flag").touch()
    uploader.wait_phase("ready")
    assert uploader.notice.inner_text() == ""
    assert uploader.python("uploader.audio.name") == "english.flac"


@pytest.mark.own_page
def test_two_views_are_in_step_and_a_reloaded_page_has_text_and_sound(uploader: Uploader, speech: ScriptedSpeech):
    write(uploader.notebook, 1, "uploader")
    uploader.notebook.run(1)
    second = Uploader(uploader.notebook, nth=1)
    second.wait_phase("empty")
    second.choose_and_wait(AUDIO / "library.flac")
    uploader.wait_phase("ready")
    second.root.get_by_label("Translate into English").check()
    uploader.button("Translate").click()
    for view in (uploader, second):
        view.lines.nth(3).wait_for()
    assert [request.path for request in speech.requests] == ["/v1/audio/translations"]
    spoken = [view.root.locator(".ck-spoken").text_content() for view in (uploader, second)]
    assert spoken == ["Transcript ready", ""]
    second.lines.nth(3).fill("Edited in the second.")
    second.lines.nth(3).blur()
    uploader.wait_words(".ck-line:nth-child(4) .ck-line-text", "Edited in the second.")

    uploader.notebook.command("docmanager:save")
    uploader.page.reload()
    uploader.notebook.wait_for_kernel()
    uploader.wait_words(".ck-line:nth-child(4) .ck-line-text", "Edited in the second.")
    assert uploader.root.locator(".ck-spoken").text_content() == ""
    uploader.button("Play from 0:05").click()
    uploader.page.wait_for_function("document.querySelector('.ck-player').currentTime > 5.1")


@pytest.mark.own_page
def test_where_the_microphone_cannot_work_it_says_why_and_a_file_still_can(uploader: Uploader, chromium: Any, lab: Lab):
    heard = uploader.error
    uploader.button("Record").click()  # this browser has no microphone
    heard.wait_for()
    assert heard.inner_text() == "No microphone was found. Connect one and try again. Choosing a file still works."
    for name, words in [
        ("NotReadableError", "another program may be using it"),
        ("SecurityError", "The browser does not let this page use the microphone."),
    ]:
        uploader.page.evaluate(
            "name => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('x', name)) }", name
        )
        uploader.button("Record").click()
        uploader.wait_words(".ck-error", words)
    uploader.page.evaluate("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    uploader.button("Record").click()
    uploader.wait_words(".ck-error", "this page came over plain http. Choosing a file still works.")
    uploader.choose_and_wait(AUDIO / "english.flac")
    assert heard.is_hidden()

    # a browser that has a microphone, whose owner refuses it
    uploader.notebook.command("docmanager:save")
    refusing = chromium.launch(FAKE_DEVICE)
    page = refusing.new_page()
    page.set_default_timeout(PATIENCE)
    refused = {"permission": {"name": "microphone"}, "setting": "denied", "origin": lab.url}
    page.context.new_cdp_session(page).send("Browser.setPermission", refused)
    uploader.notebook.show(page, workspace="-refused")
    other = Uploader(uploader.notebook, page)
    other.wait_phase("ready")
    other.button("Record").click()
    other.wait_words(".ck-error", "The browser does not let this page use the microphone.")
    refusing.close()


SITE = "Allow it in the site's settings, beside the address"
SAME_FOR_BOTH = (
    "The request is not allowed by the user agent or the platform in the current context, possibly because the user "
    "denied permission."
)
DENIED = [
    # what Chrome and Edge say, then Safari and Firefox, which do not tell who it was
    (
        "macOS",
        "Permission denied by system",
        ["The system does not let", "System Settings, Privacy & Security"],
        [SITE],
    ),
    ("Windows", "Permission denied by system", ["The system does not let", "Windows' Settings, Privacy"], [SITE]),
    ("Linux", "Permission denied by system", ["the privacy settings of the system"], [SITE]),
    ("macOS", "Permission denied", [SITE], ["Privacy"]),
    ("Windows", "Permission dismissed", [SITE], ["Privacy"]),
    ("macOS", SAME_FOR_BOTH, [SITE, "If it is allowed there:", "System Settings, Privacy & Security"], []),
]


@pytest.mark.own_page
def test_who_refuses_the_microphone_is_told_and_where_that_is_changed(uploader: Uploader):
    for system, message, words, others in DENIED:
        uploader.page.evaluate(
            """([platform, message]) => {
                Object.defineProperty(navigator, 'userAgentData', { value: { platform }, configurable: true });
                navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException(message, 'NotAllowedError'));
            }""",
            [system, message],
        )
        uploader.button("Record").click()
        uploader.wait_words(".ck-error", words[-1])
        said = uploader.error.inner_text()
        assert all(word in said for word in words), said
        assert not any(word in said for word in others), said
        assert said.endswith("Choosing a file still works.")


def test_bad_files_are_refused_in_words_and_the_next_one_works(uploader: Uploader):
    uploader.drop("<img src=x onerror='window.hit=1'>.mp3", "This is no sound. " * 50)
    uploader.error.wait_for()
    assert uploader.error.inner_text() == (
        "<img src=x onerror='window.hit=1'>.mp3: There is no audio in this file: it is text. "
        "Give a file with sound in it."
    )
    assert uploader.page.evaluate("window.hit") is None
    uploader.notebook.screenshot("uploader-error", uploader.root)
    uploader.drop("nothing.wav", "")
    uploader.wait_words(".ck-error", "nothing.wav is empty. Choose another file.")
    # over the most: refused by the page, before a byte is sent
    watch = "begin, seen = uploader._inbox.begin, []\nuploader._inbox.begin = lambda told: (seen.append(told['name']), begin(told))[1]"
    less = "from chatkit.ui import audio_view as audio_stage\naudio_stage.MOST = 100_000\nuploader._touch()"
    write(uploader.notebook, 1, f"{watch}\n{less}")
    uploader.notebook.run(1)
    uploader.wait_words(".ck-drop", "up to 100 kB")
    uploader.choose(AUDIO / "english.flac")
    uploader.wait_words(".ck-error", "english.flac has 175 kB; 100 kB is the most. Cut it into parts.")
    assert uploader.python("seen") == []
    write(uploader.notebook, 1, "audio_stage.MOST = 10**9\nuploader._touch()")
    uploader.notebook.run(1)
    uploader.wait_words(".ck-drop", "up to 1 GB")
    uploader.choose_and_wait(AUDIO / "english.flac")
    assert uploader.error.is_hidden()


def test_a_kernel_that_restarts_leaves_the_text_readable(uploader: Uploader):
    uploader.choose_and_wait(AUDIO / "english.flac")
    uploader.button("Transcribe").click()
    uploader.lines.nth(3).wait_for()
    uploader.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    uploader.wait_phase("gone")
    assert uploader.notice.inner_text().startswith("The kernel is gone.")
    assert uploader.lines.nth(0).inner_text() == "Good morning, everyone."
    assert uploader.button("Choose another").is_disabled()


def serious(page: Any) -> list[str]:
    found = Axe().run(page, context=".ck-uploader", options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html']}" for v in found if v["impact"] in ("serious", "critical")]


def test_it_is_shown_in_both_themes_in_320_pixels_and_by_keyboard(uploader: Uploader, speech: ScriptedSpeech):
    page, shot = uploader.page, uploader.notebook.screenshot
    for theme in ("Dark", "Light"):
        page.evaluate(
            "async (theme) => { await window.jupyterapp.commands.execute('apputils:change-theme', { theme }) }",
            f"JupyterLab {theme}",
        )
        page.wait_for_selector(f"body[data-jp-theme-light={'true' if theme == 'Light' else 'false'}]", state="attached")
        uploader.wait_phase("empty" if theme == "Dark" else "ready")
        shot(f"uploader-{theme.lower()}-{'empty' if theme == 'Dark' else 'again'}", uploader.root)
        assert serious(page) == []
        if theme == "Dark":
            uploader.choose_and_wait(AUDIO / "english.flac")
            # by keyboard alone: from the verb to the button
            uploader.root.get_by_label("Transcribe", exact=True).first.focus()
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.textContent") == "Transcribe"
            page.keyboard.press("Enter")
            uploader.lines.nth(3).wait_for()
            uploader.root.get_by_text("Settings").click()
        shot(f"uploader-{theme.lower()}", uploader.root)
        assert serious(page) == []
        uploader.root.evaluate("node => { node.style.width = '320px' }")
        assert uploader.root.evaluate("node => node.scrollWidth <= node.clientWidth + 1")
        shot(f"uploader-{theme.lower()}-320", uploader.root)
        uploader.root.evaluate("node => { node.style.width = '' }")
    assert uploader.lines.nth(2).evaluate("node => getComputedStyle(node).direction") == "rtl"
