"""Subtitles: every word gets time, no line is too wide in any script, nothing ends a cue, speakers are named."""

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkit.audio import subtitles
from chatkit.audio.subtitles import Cue

CHINESE = (
    "今天我们来讲一下机器学习的基本概念以及它在自然语言处理中的应用，首先我们需要理解什么是神经网络，然后再看看它是怎么训练的，"
    "最后我们会讨论一些常见的问题，比如过拟合和欠拟合。"
)
JAPANESE = "世界で一番有名な富士山の絵は葛飾北斎が描いたもので、一九九八年にアメリカの雑誌ライフがこの千年の間の世界のすごい人百人を選びましたが、日本人で唯一選ばれました。"
THAI = "สวัสดีครับวันนี้เราจะมาพูดถึงเรื่องการเรียนรู้ของเครื่องและการประยุกต์ใช้ในการประมวลผลภาษาธรรมชาติซึ่งเป็นหัวข้อที่น่าสนใจมาก"
KHMER = "ភាសាខ្មែរគឺជាភាសាផ្លូវការរបស់ប្រទេសកម្ពុជា" * 3
LAO = "ພາສາລາວເປັນພາສາທາງການຂອງປະເທດລາວແລະມີຄົນເວົ້າຫຼາຍລ້ານຄົນ" * 2
BURMESE = "မြန်မာဘာသာစကားသည်မြန်မာနိုင်ငံ၏ရုံးသုံးဘာသာစကားဖြစ်သည်" * 2
KOREAN = "오늘은 기계 학습의 기본 개념과 자연어 처리에서의 응용에 대해 이야기하겠습니다 먼저 신경망이 무엇인지 이해해야 합니다"
MIXED = (
    "今天我们用OpenAI的API来写一个Jupyter notebook，里面有speech-to-text和chat completions两个部分，都可以离线运行。"
)
LONG = "https://example.com/" + "a-very-long-path/" * 12
PERSIAN = (
    "امروز درباره مفاهیم پایه یادگیری ماشین و کاربردهای آن در پردازش زبان طبیعی صحبت می‌کنیم و سپس به پرسش‌ها می‌پردازیم"
)
SCRIPTS = {
    "Chinese": CHINESE, "Japanese": JAPANESE, "Thai": THAI, "Khmer": KHMER, "Lao": LAO, "Burmese": BURMESE,
    "Korean": KOREAN, "mixed": MIXED, "an address": LONG, "Persian": PERSIAN, "pictures": "👩‍🚀🚀" * 60,
}  # fmt: skip


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def shown(found: list[Cue]) -> list[list[str]]:
    return [block.splitlines()[2:] for block in subtitles.srt(found).split("\n\n")]


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("seconds", [3.0, 12.0, 28.0])
def test_in_every_script_a_cue_has_two_lines_of_42_columns_and_seven_seconds(script, seconds):
    text = SCRIPTS[script]
    found = subtitles.cues([Cue(0.0, seconds, text)], length=seconds)
    assert all(len(block) <= 2 and all(columns(line) <= 42 for line in block) for block in shown(found))
    assert all(cue.end - cue.start <= 7.0 for cue in found)
    assert (found[0].start, found[-1].end) == (0.0, pytest.approx(seconds))
    assert "".join("".join(block) for block in shown(found)).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("script", ["Chinese", "Japanese", "Thai", "Lao", "mixed"])
def test_no_line_begins_with_what_closes_or_stands_on_the_letter_before(script):
    for block in shown(subtitles.cues([Cue(0.0, 20.0, SCRIPTS[script])])):
        for line in block:
            assert line[0] not in subtitles.NOT_FIRST and unicodedata.category(line[0])[0] != "M"
            assert line[-1] not in subtitles.NOT_LAST


def test_latin_words_within_chinese_stay_whole():
    said = "\n".join("\n".join(block) for block in shown(subtitles.cues([Cue(0.0, 20.0, MIXED)])))
    for word in ("OpenAI", "Jupyter", "notebook", "speech-to-text", "completions"):
        assert word in said


def test_chinese_cues_begin_with_their_words_where_the_words_have_times():
    words = [Cue(n / 2, n / 2 + 0.5, c) for n, c in enumerate(CHINESE)]
    found = subtitles.cues([Cue(0.0, len(CHINESE) / 2, CHINESE)], words)
    at = 0
    for cue in found:
        assert cue.start == words[at].start
        at += len(cue.text)


def test_words_without_marks_give_their_times_to_a_text_with_marks():
    text = "One, two, three, four. Five, six, seven, eight, nine; ten, eleven, twelve, thirteen, fourteen, fifteen, sixteen!"
    words = [Cue(n * 1.0, n + 0.5, w) for n, w in enumerate(re.findall(r"\w+", text))]
    found = subtitles.cues([Cue(0.0, 16.0, text)], words)
    starts = {word.text: word.start for word in words}
    assert len(found) > 2
    assert [cue.start for cue in found] == [starts[re.search(r"\w+", cue.text)[0]] for cue in found]


NOTHING = {
    "none": [(1.0, 1.0)],
    "less than none": [(2.5, 2.2)],
    "none at the very start": [(0.0, 0.0)],
    "several at one moment": [(1.0, 1.0), (1.0, 1.0), (1.0, 0.5)],
    "between two others": [(0.0, 1.0), (1.0, 1.0), (1.5, 3.0)],
    "with one that begins with it": [(0.0, 1.0), (1.0, 1.0), (1.0, 3.0)],
    "at the end": [(0.0, 2.0), (3.0, 3.0)],
    "at the end of one that fills all": [(0.0, 3.0), (3.0, 3.0), (3.0, 3.0)],
    "after the end": [(0.0, 3.0), (5.0, 4.0)],
    "no numbers": [(float("nan"), float("nan"))],
}


@pytest.mark.parametrize("case", NOTHING)
def test_a_segment_of_no_length_gets_time_to_be_read_and_none_past_the_end(case):
    segments = [Cue(start, end, f"word{n} and more") for n, (start, end) in enumerate(NOTHING[case])]
    found = subtitles.cues(segments, length=3.0)
    assert [cue.text for cue in found] == [segment.text for segment in segments]
    assert all(cue.end - cue.start >= 0.3 and cue.end <= 3.0 for cue in found)
    assert all(a.end <= b.start for a, b in pairwise(found))


def test_a_cue_of_a_short_clip_does_not_go_on_after_its_end():
    assert subtitles.cues([Cue(0.2, 0.9, "Yes.")], length=1.0)[-1].end == 1.0
    assert subtitles.cues([Cue(0.2, 0.9, "Yes.")])[-1].end == 1.2


@pytest.mark.parametrize("text", ["\u200b", " \ufeff ", "\u200d\u2060", "\x00", "\u2028\x85", ""])
def test_what_nobody_can_see_is_no_cue(text):
    assert subtitles.cues([Cue(0.0, 1.0, text), Cue(1.0, 2.0, "Seen.")]) == [Cue(1.0, 2.0, "Seen.")]


def test_what_is_invisible_within_a_text_is_taken_out_and_what_shapes_letters_stays():
    [cue] = subtitles.cues([Cue(0.0, 2.0, "\ufeffHel\u200blo\x07 می\u200cکنیم\u2028there")])
    assert cue.text == "Hello می\u200cکنیم there"


def test_speakers_are_named_where_they_change_and_in_voice_tags():
    found = subtitles.cues([Cue(0, 2, "Hello.", "Ada"), Cue(2, 4, "So.", "Ada"), Cue(4, 6, "Hi.", "<Bob> & Co")])
    assert [block[0] for block in shown(found)] == ["Ada: Hello.", "So.", "<Bob> & Co: Hi."]
    assert [line for line in subtitles.vtt(found).splitlines() if line.startswith("<v")] == [
        "<v Ada>Hello.", "<v Ada>So.", "<v &lt;Bob&gt; &amp; Co>Hi.",
    ]  # fmt: skip


def test_a_speakers_name_ends_no_cue_and_makes_no_line_too_wide():
    found = subtitles.cues([Cue(0, 6, "word " * 30, "Ada\n\n00:00 --> 00:01")])
    assert "Ada 00:00 → 00:01: word" in " ".join(subtitles.srt(found).split())
    assert subtitles.srt(found).count("-->") == subtitles.vtt(found).count("-->") == len(found)
    assert all(columns(line) <= 42 and len(block) <= 2 for block in shown(found) for line in block)


@given(
    st.lists(
        st.tuples(st.floats(0, 30), st.floats(-3, 30), st.text(max_size=120), st.sampled_from([None, "A"])), max_size=8
    )
)
def test_subtitles_of_anything_are_in_order_apart_and_not_past_the_end(stretches):
    segments = [Cue(start, start + length, text, who) for start, length, text, who in stretches]
    length = max((segment.end for segment in segments), default=0.0)
    found = subtitles.cues(segments, length=length)
    assert all(a.start <= b.start and a.end <= b.start + 0.002 for a, b in pairwise(found))
    assert all(cue.end > cue.start for cue in found)
    for write in (subtitles.srt, subtitles.vtt):
        assert write(found).count("-->") == len(found)
