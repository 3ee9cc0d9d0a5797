"""The recordings that the notebooks play are heard by the Whisper that comes with chatkit, on every Python."""

from pathlib import Path

import pytest
import wer
from local_server import needs_weights

import chatkit

FIGURES = {"nineteen thirty": "1930", "Thirteen": "13", "four": "4", "ninety thousand": "90,000"}
"""Numbers, as Whisper writes them."""
CLIPS = Path(__file__).parent.parent / "notebooks" / "audio"


@pytest.mark.parametrize("clip", ["english.m4a", "spanish.mp3"])
def test_a_clip_of_the_notebooks_is_heard(clip):
    needs_weights()
    said = chatkit.transcribe(CLIPS / clip, progress=False)
    written = (CLIPS / clip).with_suffix(".txt").read_text(encoding="utf-8")
    for words, figures in FIGURES.items():
        written = written.replace(words, figures)
    assert said.outcome == "complete"
    assert not said.missing
    assert wer.rate(said.text, written) < 0.1
