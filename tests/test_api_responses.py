"""The Responses API as servers send it: item by item, whole, only at the end, with counters or none."""

import json
from typing import Any

import pytest
from wire import DONE, event, tell, typed

WEATHER = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": '{"a":1}'}
CALL = [("call_1", "f", '{"a":1}')]


def message(*texts: str, id: str = "msg_1") -> dict[str, Any]:
    return {"type": "message", "id": id, "content": [{"type": "output_text", "text": text} for text in texts]}


def delta(text: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "response.output_text.delta",
        "item_id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "delta": text,
        **more,
    }


def last(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "response.completed",
        "response": {"status": "completed", "model": "m", "output": list(output), **more},
    }


def item(what: str, sent: dict[str, Any], index: int | None = 1) -> dict[str, Any]:
    place = {} if index is None else {"output_index": index}
    return {"type": f"response.output_item.{what}", "item": sent, **place}


def arguments(what: str, text: str, **names: Any) -> dict[str, Any]:
    field = "delta" if what == "delta" else "arguments"
    return {"type": f"response.function_call_arguments.{what}", field: text, **names}


EMPTY = {**WEATHER, "arguments": ""}
NAMED = {"item_id": "fc_1", "output_index": 1}


@pytest.mark.parametrize("sent", [
    [item("added", WEATHER)],
    [item("done", WEATHER)],
    [item("added", WEATHER), item("done", WEATHER)],
    [item("added", EMPTY), arguments("done", '{"a":1}', **NAMED)],
    [item("added", EMPTY), arguments("delta", '{"a"', **NAMED), arguments("delta", ":1}", **NAMED)],
    [item("added", EMPTY), arguments("delta", '{"a"', **NAMED), arguments("done", '{"a":1}', **NAMED), item("done", WEATHER)],
    [item("added", EMPTY), arguments("delta", '{"a"', **NAMED)],
    [arguments("delta", '{"a":1}', **NAMED), item("done", WEATHER)],
    [],
])  # fmt: skip
@pytest.mark.parametrize("text", [True, False])
def test_a_call_is_whole_and_one_however_it_comes(sent: list[dict[str, Any]], text: bool) -> None:
    said = [delta("Let me look.")] if text else []
    output = [message("Let me look."), WEATHER] if text else [WEATHER]
    told = tell(*typed(*said, *sent, last(*output)), api="responses")
    assert (told.calls, told.reply.text) == (CALL, "Let me look." if text else "")
    assert told.outcomes == ("complete",) * 3


TWO = [("fc_a", "get_weather", '{"city":"Oslo"}'), ("fc_b", "get_time", '{"tz":"UTC"}')]


SQL = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "sql", "input": "SELECT 11"}


def typed_in(what: str, text: str, **names: Any) -> dict[str, Any]:
    field = "delta" if what == "delta" else "input"
    return {"type": f"response.custom_tool_call_input.{what}", field: text, **names}


@pytest.mark.parametrize("names", [{"item_id": "ctc_1", "output_index": 1}, {}])
@pytest.mark.parametrize("pieces", [[], ["SELECT ", "1", "1"], ["SELECT "]])
@pytest.mark.parametrize("whole", [True, False])
def test_a_call_of_a_custom_tool_is_whole_and_one_however_it_comes(
    names: dict[str, Any], pieces: list[str], whole: bool
) -> None:
    sent = [item("added", {**SQL, "input": ""}), *(typed_in("delta", piece, **names) for piece in pieces)]
    sent += [typed_in("done", "SELECT 11", **names), item("done", SQL)] if whole else []
    told = tell(*typed(*sent, last(SQL)), api="responses")
    assert told.outcomes == ("complete",) * 3
    assert [list(answer.tool_calls) for answer in told.reply.answers] == [
        [{"id": "call_1", "type": "custom", "custom": {"name": "sql", "input": "SELECT 11"}}]
    ]


@pytest.mark.parametrize("index", [None, 0])
def test_calls_without_a_place_of_their_own_are_known_by_their_ids(index: int | None) -> None:
    sent = []
    for id, name, said in TWO:
        sent.append(item("added", {"type": "function_call", "call_id": id, "name": name, "arguments": ""}, index))
        place = {} if index is None else {"output_index": index}
        sent += [arguments("delta", part, item_id=id, **place) for part in (said[:5], said[5:])]
    items = [{"type": "function_call", "call_id": id, "name": name, "arguments": said} for id, name, said in TWO]
    sent += [item("done", one, index) for one in items]
    assert tell(*typed(*sent, last(*items)), api="responses").calls == TWO


def done(text: str, **names: Any) -> dict[str, Any]:
    return {"type": "response.output_text.done", "text": text, **names}


@pytest.mark.parametrize("sent", [
    [delta("Hel"), delta("lo")],
    [delta("Hel")],
    [],
    [delta("Hel"), done("Hello", item_id="msg_1", output_index=0, content_index=0)],
    [done("Hello", item_id="msg_1", output_index=0, content_index=0)],
    [delta("Hel"), {"type": "response.content_part.done", "item_id": "msg_1", "part": {"type": "output_text", "text": "Hello"}}],
    [delta("Hel"), item("done", message("Hello"), 0)],
    [delta("Hel", item_id=None, output_index=None), delta("lo", item_id=None, output_index=None)],
    [delta("Hel", item_id="changed", output_index=7), delta("lo", item_id="changed", output_index=7)],
    [delta("Hel"), done("Hello"), item("done", message("Hello"), 0)],
])  # fmt: skip
def test_a_text_is_whole_and_said_once_however_it_comes(sent: list[dict[str, Any]]) -> None:
    told = tell(*typed(*sent, last(message("Hello"))), api="responses")
    assert (told.reply.text, "".join(d.text for d in told.deltas)) == ("Hello", "Hello")


def test_texts_of_several_items_and_parts_are_joined_in_their_order() -> None:
    parts = [delta("A"), delta("B", content_index=1), delta("C", item_id="msg_2", output_index=1)]
    output = [message("A", "B"), message("C", id="msg_2")]
    assert tell(*typed(*parts, last(*output)), api="responses").reply.text == "ABC"
    assert tell(*typed(last(*output)), api="responses").reply.text == "ABC"


@pytest.mark.parametrize("streamed", [True, False])
def test_reasoning_and_refusal_come_whole_too(streamed: bool) -> None:
    thought = {
        "type": "reasoning",
        "id": "r",
        "summary": [{"type": "summary_text", "text": t} for t in ("One.", "Two.")],
    }
    refused = {"type": "message", "id": "m", "content": [{"type": "refusal", "refusal": "No."}]}
    bits = [
        {"type": "response.reasoning_summary_text.delta", "item_id": "r", "summary_index": 0, "delta": "On"},
        {"type": "response.refusal.delta", "item_id": "m", "content_index": 0, "delta": "N"},
    ]
    [answer] = tell(*typed(*(bits if streamed else []), last(thought, refused)), api="responses").reply.answers
    assert (answer.reasoning.replace("\n\n", ""), answer.refusal) == ("One.Two.", "No.")


@pytest.mark.parametrize("numbers", [
    [0, 0, 0, 0], [1, 1, 1, 1], [1, 2, 0, 1], [5, 6, 1, 2], [0, 1, 2, 3], [None, None, None, None], ["0", "1", "2", "3"],
])  # fmt: skip
def test_a_counter_that_cannot_be_trusted_drops_nothing(numbers: list[Any]) -> None:
    sent = [delta("ha"), delta(" ha"), delta("!"), last(message("ha ha!"))]
    wire = [{**one, "sequence_number": number} for one, number in zip(sent, numbers, strict=True)]
    told = tell(*typed(*wire), api="responses")
    assert (told.reply.text, told.outcomes) == ("ha ha!", ("complete",) * 3)


def test_events_that_come_twice_count_once() -> None:
    first, second, end = typed(
        *({**one, "sequence_number": n} for n, one in enumerate((delta("a"), delta("b"), last())))
    )
    assert tell(first, second, first, second, end, api="responses").reply.text == "ab"


def test_the_model_is_the_last_name_that_is_one() -> None:
    created = {"type": "response.created", "response": {"model": ""}}
    named = {"type": "response.in_progress", "response": {"model": "early"}}
    for model, expected in (("late", "late"), ("", "early"), (None, "early")):
        told = tell(*typed(created, named, delta("x"), last(message("x"), model=model)), api="responses")
        assert told.reply.model == expected


def test_an_error_event_and_a_failed_response_keep_what_came() -> None:
    for end in (
        {"type": "error", "message": "Boom", "code": "boom"},
        {"type": "error", "error": {"message": "Boom", "code": "boom"}},
        {"type": "response.failed", "response": {"status": "failed", "error": {"message": "Boom", "code": "boom"}}},
    ):
        told = tell(*typed(delta("Hel"), end), api="responses")
        assert (told.outcomes, told.row.error_code, told.reply.text) == (("error",) * 3, "boom", "Hel")
        assert "Boom" in str(told.reply.error)


def test_done_alone_ends_a_response_too() -> None:
    told = tell(*typed(delta("Hel")), DONE, api="responses")
    assert (told.outcomes, told.reply.notes) == (("complete",) * 3, ("ended without reason",))


def test_a_picture_is_told_of() -> None:
    picture = {"type": "image_generation_call", "id": "ig", "result": "aGVsbG8="}
    told = tell(*typed(item("done", picture, 0), last(picture)), api="responses")
    assert told.messages[0].note == "1 picture came with the answer; chatkit does not show it"


def test_half_characters_are_repaired_in_calls_and_texts_that_come_whole() -> None:
    sent = {**WEATHER, "name": "f\ud83d", "call_id": "c\0", "arguments": '{"\ud83d"}'}
    told = tell(event(last(message("a\ud83d"), sent), "response.completed"), api="responses")
    json.dumps([told.reply.text, told.calls], ensure_ascii=False).encode()
    assert (told.reply.text, told.calls) == ("a\ufffd", [("c\ufffd", "f\ufffd", '{"\ufffd"}')])
