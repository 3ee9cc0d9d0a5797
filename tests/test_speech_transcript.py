"""The transcript as a value: subtitles, JSON, files, repr and HTML."""

import json
import re
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkit import Transcript
from chatkit.audio import subtitles
from chatkit.audio.subtitles import Cue
from chatkit.exceptions import InputError
from chatkit.speech.timed import Audio, Missing, Segment, Word, clock

SAID = Transcript(
    "Good morning. How are you?", "english", 4.0,
    (Segment(0.5, 1.5, "Good morning."), Segment(2.0, 3.25, "How are you?")), model="whisper-1",
)  # fmt: skip
TIME = r"\d\d:\d\d:\d\d[,.]\d{3}"


def test_subtitles_have_their_forms():
    assert SAID.to_srt() == (
        "1\n00:00:00,500 --> 00:00:01,500\nGood morning.\n\n2\n00:00:02,000 --> 00:00:03,250\nHow are you?\n"
    )
    assert SAID.to_vtt() == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nGood morning.\n\n00:00:02.000 --> 00:00:03.250\nHow are you?\n"
    )


def test_what_is_said_cannot_end_a_cue_or_begin_one():
    hostile = "a\n\n00:00:09,000 --> 00:00:10,000\n<b>x</b> & y"
    said = replace(SAID, segments=(Segment(0.0, 6.0, hostile),))
    assert said.to_srt() == "1\n00:00:00,000 --> 00:00:06,000\na 00:00:09,000 → 00:00:10,000 <b>x</b> & y\n"
    assert said.to_vtt().endswith("a 00:00:09,000 → 00:00:10,000 &lt;b&gt;x&lt;/b&gt; &amp; y\n")


def test_a_long_segment_becomes_cues_of_two_readable_lines():
    words = [f"word{n}" for n in range(40)]
    segment = Segment(10.0, 30.0, " ".join(words))
    found = subtitles.cues([segment])
    assert " ".join(cue.text for cue in found).split() == words
    assert (found[0].start, found[-1].end) == (10.0, 30.0)
    assert all(cue.end - cue.start <= 7.5 for cue in found)
    lines = [line for line in subtitles.srt(found).splitlines() if line and "-->" not in line and not line.isdigit()]
    assert max(map(len, lines)) <= subtitles.LINE


def test_cues_begin_with_their_words_where_the_words_have_times():
    texts = [f"word{n}" for n in range(30)]
    words = [Word(n + (5 if n > 14 else 0), n + 0.5 + (5 if n > 14 else 0), text) for n, text in enumerate(texts)]
    found = subtitles.cues([Segment(0.0, 35.0, " ".join(texts))], words)
    starts = {word.text: word.start for word in words}
    assert all(cue.start == starts[cue.text.split()[0]] for cue in found)


def test_a_short_cue_stays_long_enough_to_be_read_but_not_into_the_next():
    found = subtitles.cues([Segment(1.0, 1.2, "Yes."), Segment(1.7, 1.9, "No."), Segment(9.0, 9.1, "Ah.")])
    assert [(cue.start, cue.end) for cue in found] == [(1.0, 1.7), (1.7, 2.7), (9.0, 10.0)]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 30), st.text(max_size=200)), max_size=8))
def test_subtitles_of_anything_are_well_formed(stretches):
    found = subtitles.cues([Segment(start, start + length, text) for start, length, text in stretches])
    blocks = [block for block in subtitles.srt(found).split("\n\n") if block.strip()]
    assert len(blocks) == len(found)
    assert all(re.match(rf"\d+\n{TIME} --> {TIME}\n", block) for block in blocks)
    assert all(a.start <= b.start and a.end <= b.start + 0.002 for a, b in pairwise(found))


def test_the_clock_rounds_to_thousandths():
    assert subtitles.srt([Cue(3599.9996, 3661.0004, "x")]).splitlines()[1] == "01:00:00,000 --> 01:01:01,000"
    assert [clock(s) for s in (0, 59.99, 3600)] == ["0:00", "0:59", "1:00:00"]


@pytest.mark.parametrize(
    ("ending", "begins"), [(".txt", "Good morning."), (".srt", "1\n00:00"), (".VTT", "WEBVTT"), (".json", "{")]
)
def test_save_writes_the_form_that_the_ending_names(tmp_path, ending, begins):
    path = SAID.save(tmp_path / f"talk{ending}")
    assert path.read_text(encoding="utf-8").startswith(begins)


def test_the_text_file_names_who_speaks_and_what_is_missing(tmp_path):
    turns = (
        Segment(0, 1, "Hello.", "Ada"), Segment(1, 2, "How are you?", "Ada"), Segment(2, 3, "Fine.", "Bob"),
        Segment(9, 10, "Bye."),
    )  # fmt: skip
    said = Transcript("Hello. How are you? Fine. Bye.", segments=turns, missing=(Missing(3, 9, "lost"),))
    written = said.save(tmp_path / "talk.txt").read_text(encoding="utf-8")
    assert written == "Ada: Hello. How are you?\nBob: Fine.\n[0:03–0:09 is missing] Bye.\n"
    assert "\nAda: Hello.\n" in said.to_srt() and "<v Bob>Fine." in said.to_vtt()
    assert (str(said), SAID.to_text()) == (said.text, SAID.text)
    part = replace(said, text=f"{said.text} {'And a part that came without segments. ' * 4}")
    assert part.to_text() == part.text


def test_save_refuses_another_ending(tmp_path):
    with pytest.raises(InputError, match="'talk.docx' ends in none of .txt, .srt, .vtt, .json"):
        SAID.save(tmp_path / "talk.docx")
    assert list(tmp_path.iterdir()) == []


def test_json_holds_all_of_it():
    said = json.loads(replace(SAID, missing=(Missing(4.0, 9.0, "no"),)).to_json())
    assert said["text"] == SAID.text
    assert said["segments"] == [
        {"start": 0.5, "end": 1.5, "text": "Good morning."}, {"start": 2.0, "end": 3.25, "text": "How are you?"},
    ]  # fmt: skip
    assert said["missing"] == [{"start": 4.0, "end": 9.0, "why": "no"}]
    assert said["cost"] == "0"


def test_the_repr_is_short_and_stable():
    assert repr(SAID) == "Transcript('Good morning. How are you?', 0:04)"
    assert repr(replace(SAID, text="a" * 100)) == f"Transcript('{'a' * 59}…', 0:04)"
    assert repr(Transcript("", duration=3661.0)) == "Transcript(no speech found, 1:01:01)"
    assert repr(replace(SAID, missing=(Missing(1, 2, "no"),))).endswith(", 0:04, 1 missing)")
    assert (str(SAID), SAID.cost) == (SAID.text, Decimal(0))


def test_a_text_without_times_has_no_subtitles_and_nothing_said_has_empty_ones():
    with pytest.raises(InputError, match="There are no times: gpt-transcribe gives text only"):
        Transcript("Hello.", model="gpt-transcribe").to_vtt()
    assert Transcript("").to_vtt() == "WEBVTT\n"


def test_html_escapes_all_that_others_wrote():
    hostile = "<script>alert(1)</script>"
    said = Transcript(
        hostile, hostile, 3.0, (Segment(0, 1, hostile, hostile),), model=hostile, notes=(hostile,),
        missing=(Missing(1, 2, hostile),), audio=Audio(b"x", '"><script>'),
    )  # fmt: skip
    html = said._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 6


def test_html_shows_a_player_only_where_there_is_sound_and_what_is_missing_in_its_place():
    said = replace(SAID, missing=(Missing(1.5, 2.0, "lost"),))
    silent = said._repr_html_()
    assert "<audio" not in silent
    assert "onclick" not in silent
    heard = replace(said, audio=Audio(b"abc", "audio/mpeg"))._repr_html_()
    assert 'src="data:audio/mpeg;base64,YWJj"' in heard
    assert heard.index("Good morning.") < heard.index("is missing: lost") < heard.index("How are you?")
    assert "<em>no speech found</em>" in Transcript("")._repr_html_()


def test_html_of_many_segments_is_bounded():
    many = replace(SAID, segments=tuple(Segment(n, n + 1, "word") for n in range(1500)))
    html = many._repr_html_()
    assert html.count("<li") == 1001
    assert "500 more segments: save() writes them all." in html
