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
from lab import Lab, Notebook
from scripted_speech import ScriptedSpeech

AUDIO = Path(__file__).parents[1] / "audio"
MIB = 2**20
FAKE_DEVICE = "--use-fake-device-for-media-stream"
HELD = "import os, time\nwhile not os.path.exists({flag!r}):\n    time.sleep(0.02)"
AT_SHARE = """([n, share, button]) => new Promise((resolve, reject) => {
    const root = document.querySelectorAll('.ck-uploader')[n];
    const look = () => {
        const bar = root.querySelector('.ck-uploading progress');
        if (root.dataset.phase !== 'uploading') return reject(new Error(`over: ${root.dataset.phase}`));
        if (bar.value < share) return requestAnimationFrame(look);
        if (button) root.querySelector('.ck-uploading button').click();
        resolve(bar.value);
    };
    look();
})"""


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

    def wait_phase(self, phase: str, timeout: float = 60_000) -> None:
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
            timeout=60_000,
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

    def at_share(self, share: float, *, cancel: bool = False) -> None:
        """Wait until that share of an upload is acknowledged; cancel it in the same moment if asked to."""
        self.page.evaluate(AT_SHARE, [self.nth, share, cancel])

    def button(self, name: str) -> Any:
        return self.root.get_by_role("button", name=name, exact=True)

    def python(self, expression: str) -> Any:
        return self.notebook.python(expression)

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
def uploader(notebook: Notebook, speech: ScriptedSpeech) -> Uploader:
    notebook.open(setup(speech), "", "")
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
        facts = "[sha(), uploader.audio.name, uploader.audio.size, len(list(uploader.audio.path.parent.iterdir()))]"
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
    uploader.at_share(0.2, cancel=True)
    uploader.wait_phase("empty")
    uploader.until("uploader._inbox.incoming is None")
    assert uploader.python("[uploader.audio, list(map(str, uploader._inbox._folder.iterdir()))]") == [None, []]
    uploader.choose_and_wait(AUDIO / "english.flac")


def test_an_upload_goes_on_after_the_page_was_loaded_again(uploader: Uploader, big: tuple[Path, str]):
    count = "import chatkit.ui.inbox as inbox\nput, taken = inbox.Incoming.put, [0]\ndef counted(self, offset, data):\n    taken[0] += data.nbytes\n    return put(self, offset, data)\ninbox.Incoming.put = counted"
    write(uploader.notebook, 1, count + GROWTH)
    uploader.notebook.run(1)
    uploader.notebook.command("docmanager:save")
    uploader.choose(big[0])
    uploader.at_share(0.3)
    uploader.page.reload()
    uploader.notebook.wait_for_kernel()
    uploader.wait_words(".ck-rest", "is here in part")
    had = uploader.python("uploader._inbox.incoming.have")
    assert had >= 60 * MIB
    uploader.choose_and_wait(big[0])
    assert uploader.python("sha()") == big[1]
    assert uploader.python("taken[0]") <= big[0].stat().st_size + 4 * MIB


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
    uploader.at_share(0.1)
    uploader.page.reload()
    uploader.notebook.wait_for_kernel()
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


@pytest.fixture
def talking_page(launch: Callable[..., Any], tmp_path: Path) -> Iterator[Any]:
    """A page with a microphone that hears the first sentence of a clip."""
    wav = cut_wav("library.flac", tmp_path / "said.wav", 2.9)
    capture = f"--use-file-for-fake-audio-capture={wav}%noloop"
    browser = launch("--use-fake-ui-for-media-stream", FAKE_DEVICE, capture)
    page = browser.new_page(viewport={"width": 1100, "height": 850})
    page.set_default_timeout(30_000)
    yield page
    browser.close()


def test_the_microphone_is_recorded_in_parts_and_heard_by_the_local_whisper(
    talking_page: Any, lab: Lab, request: pytest.FixtureRequest
):
    notebook = Notebook(talking_page, lab, request.node.name)
    notebook.open("import chatkit\nuploader = chatkit.AudioUploader()\nuploader", "")
    notebook.run(0)
    uploader = Uploader(notebook)
    uploader.wait_phase("empty")
    uploader.button("Record").click()
    uploader.wait_phase("recording")
    uploader.until("uploader._inbox.incoming and uploader._inbox.incoming.have > 1000")
    uploader.page.wait_for_function("document.querySelector('.ck-level .ck-fill').style.transform > 'scaleX(0.3'")
    uploader.notebook.screenshot("uploader-recording", uploader.root)
    uploader.wait_words(".ck-timer", "0:03")
    uploader.button("Pause").click()
    paused = uploader.root.locator(".ck-timer").inner_text()
    uploader.button("Resume").click()
    uploader.button("Finish").click()
    uploader.wait_phase("ready")
    assert paused == "0:03"
    assert uploader.python("uploader.audio.path.suffix") == ".webm"
    assert 2.5 < uploader.python("uploader.audio.duration") < 6
    # the container says no duration; the player finds it out
    uploader.page.wait_for_function("Number.isFinite(document.querySelector('.ck-player').duration)")
    uploader.button("Transcribe").click()
    uploader.lines.first.wait_for(timeout=120_000)
    assert words(uploader.python("uploader.transcript.text")) == "our library opens early in the morning"
    assert uploader.root.locator(".ck-price").inner_text() == "free (local)"
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
