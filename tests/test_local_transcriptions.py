"""The audio verbs' forms and answers, without a model: what is read, what is refused, what stands in each form."""

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import Request

from chatkit.local import form as form_module
from chatkit.local.form import UploadForm
from chatkit.local.transcriptions import AudioRequest, Recognised, TranscriptStream, answer, read
from chatkit.local.validation import ApiError

FILE: Any = object()


def ask(**fields: Any) -> AudioRequest:
    return read(UploadForm({"model": "whisper-1", **fields}, FILE), "transcribe")


def segment(start: float, end: float, text: str) -> dict[str, Any]:
    return {"segment": {"start": start, "end": end, "text": text, "words": []}}


def heard(*lines: dict[str, Any], **done: Any) -> Recognised:
    said = Recognised()
    for line in lines:
        said.add(line)
    said.add({"done": {"language": "en", "duration": 8.0, "damaged_after": None, **done}})
    return said


def body(format: str, said: Recognised) -> str:
    return answer(ask(response_format=format), said, "whisper-base").body.decode()


TWO = (segment(0.0, 3.0, " 1 < 2 & 3 --> 4"), segment(3.0, 8.0, " So."))


def test_subtitles_have_a_cue_for_each_segment_and_are_escaped_as_chatkits_own():
    assert body("srt", heard(*TWO)) == (
        "1\n00:00:00,000 --> 00:00:03,000\n1 < 2 & 3 → 4\n\n2\n00:00:03,000 --> 00:00:08,000\nSo.\n\n"
    )
    assert body("vtt", heard(*TWO)) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:03.000\n1 &lt; 2 &amp; 3 → 4\n\n00:00:03.000 --> 00:00:08.000\nSo.\n\n"
    )
    assert (body("srt", heard()), body("vtt", heard())) == ("", "WEBVTT\n\n")


@pytest.mark.parametrize("times", [(8.0, 8.0), (2.0, 2.0), (2.0, 1.0)])
def test_a_segment_of_no_length_is_in_the_subtitles_and_ends_with_the_audio(times):
    said = body("srt", heard(segment(0.0, 2.0, " One."), segment(*times, " Two.")))
    assert "Two." in said and "00:00:09" not in said


def test_what_the_api_has_no_field_for_stands_beside_its_own_and_in_the_head():
    said = heard(*TWO, damaged_after=7.5, languages=["en", "de"], unheard=[[4.0, 6.0]])
    told = {
        "damaged_after": 7.5, "unheard": [{"start": 4.0, "end": 6.0}], "languages": [{"code": "en"}, {"code": "de"}],
    }  # fmt: skip
    whole = json.loads(body("verbose_json", said))
    assert {name: whole[name] for name in told} == told
    [done] = TranscriptStream.close(stream(said))
    assert {name: done[name] for name in told} == told
    head = answer(ask(response_format="text"), said, "whisper-base").headers
    assert (head["x-audio-damaged-after"], head["x-audio-unheard"], head["x-audio-languages"]) == (
        "7.500", "4.000-6.000", "en, de",
    )  # fmt: skip
    plain = json.loads(body("verbose_json", heard(*TWO, languages=["en"])))
    assert not told.keys() & plain.keys()
    assert json.loads(body("json", said)).keys() == {"text", "usage"}


def stream(said: Recognised) -> TranscriptStream:
    one = TranscriptStream()
    one.heard = said
    return one


def test_the_head_stays_short_however_much_was_not_understood():
    said = heard(unheard=[[n * 10.0, n * 10.0 + 5] for n in range(1000)])
    assert len(answer(ask(), said, "whisper-base").headers["x-audio-unheard"]) < 500


def test_an_empty_temperature_is_none():
    assert (ask(temperature="").temperature, ask(temperature="0.5").temperature) == (0.0, 0.5)


@pytest.mark.parametrize(
    ("language", "way"),
    [
        ("en-US", "give 'en'"),
        ("pt_BR", "give 'pt'"),
        ("klingon", "give its ISO-639-1 code"),
        ("auto", "or none, and it is"),
    ],
)
def test_a_language_with_a_region_is_refused_as_by_the_api_with_the_way_out(language, way):
    with pytest.raises(ApiError, match=way) as refused:
        ask(language=language)
    assert (refused.value.error["param"], refused.value.error["code"]) == ("language", "unsupported_language")


@pytest.mark.parametrize(("language", "code"), [("EN", "en"), ("Spanish", "es"), ("", None)])
def test_a_language_by_its_code_or_its_name_is_taken(language, code):
    assert ask(language=language).language == code


def test_a_prompt_that_is_too_long_is_refused_by_its_name():
    long = b'--x\r\ncontent-disposition: form-data; name="prompt"\r\n\r\n' + b"a" * 70_000 + b"\r\n--x--\r\n"
    sent = [{"type": "http.request", "body": long, "more_body": False}]
    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"multipart/form-data; boundary=x")]}

    async def receive() -> dict[str, Any]:
        return sent.pop(0)

    with pytest.raises(ApiError, match="holds more than 65,536 bytes. If it is the prompt") as refused:
        asyncio.run(form_module.read(Request(scope, receive)))
    assert refused.value.error["param"] == "prompt"
