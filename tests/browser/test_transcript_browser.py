"""A transcript in a real JupyterLab: it plays where one clicks, shows what is hostile as text, and is calm untrusted."""

import pytest
from lab import RESULTS, Notebook
from sounds import CLIPS

HOSTILE = '<img src=x onerror="window.hit=1"><script>window.hit=2</script>'
MAKE = f"""
from pathlib import Path
from chatkit import Transcript
from chatkit.speech.timed import Audio, Missing, Segment
clip = Path({str(CLIPS / "english.flac")!r}).read_bytes()
segments = (
    Segment(0.0, 3.4, "The river begins in the mountains, far away from the sea."),
    Segment(3.8, 5.8, "In the winter it is covered with ice, " + {HOSTILE!r}),
    Segment(6.0, 9.4, "and in the summer the children of the village swim every day.", "Ada"),
)
Transcript(
    " ".join(s.text for s in segments), "english", 21.5, segments, model="whisper-base", outcome="incomplete",
    missing=(Missing(10.4, 21.5, "The endpoint failed (500) after 3 attempts. It says: “" + {HOSTILE!r} + "”"),),
    notes=("the file is damaged after 0:21: what is there was heard",), audio=Audio(clip, "audio/flac"),
)
"""


def test_a_click_on_a_segment_plays_from_there_and_marks_it(notebook: Notebook):
    notebook.open(MAKE)
    notebook.run(0)
    page = notebook.page
    said = page.locator(".ck-transcript")
    said.wait_for()
    page.wait_for_function("() => document.querySelector('.ck-transcript audio').readyState >= 1")
    said.get_by_role("button", name="0:06").click()
    page.wait_for_function("() => document.querySelector('.ck-transcript audio').currentTime >= 6")
    page.wait_for_function("() => document.querySelector('.ck-transcript .ck-now')?.dataset.at === '6.000'")
    assert page.evaluate("window.hit") is None
    assert said.locator("img, script").count() == 0
    assert HOSTILE in said.inner_text()
    said.locator("audio").evaluate("a => a.pause()")
    notebook.screenshot("transcript-light", said)
    notebook.page.evaluate(
        "async () => { await window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' }) }"
    )
    page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
    notebook.screenshot("transcript-dark", said)
    notebook.page.evaluate(
        "async () => { await window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Light' }) }"
    )
    assert (RESULTS / "transcript-dark.png").is_file()


@pytest.mark.own_page
def test_in_a_notebook_that_is_not_trusted_the_text_stays_and_nothing_runs(notebook: Notebook):
    notebook.open(MAKE)
    notebook.run(0)
    page = notebook.page
    page.locator(".ck-transcript").wait_for()
    notebook.command("docmanager:save")
    saved = notebook.path.read_text(encoding="utf-8")
    notebook.path.write_text(saved.replace("Ada", "Zoe"), encoding="utf-8")  # a change from outside ends the trust
    page.goto("about:blank")
    notebook.show()
    shown = page.locator(".jp-OutputArea-output").first
    shown.get_by_text("far away from the sea").first.wait_for()
    assert "Zoe" in shown.inner_text()
    assert shown.locator("[onclick], [ontimeupdate], script").count() == 0
    assert page.evaluate("window.hit") is None
    notebook.screenshot("transcript-untrusted", shown)
