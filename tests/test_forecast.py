"""What will be used and paid, before anything is sent: chats, messages, notebooks, sound, classes."""

import json
import wave
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import chatkit
from chatkit.client.address import Endpoint
from chatkit.exceptions import InputError
from chatkit.ledger import rulebook
from chatkit.ledger.estimate import Range
from chatkit.ledger.record import Usage, UsageRecord
from chatkit.ledger.store import UsageStore
from chatkit.reports import notebook_calls

HOSTED = "https://api.openai.com/v1"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UsageStore]:
    store = UsageStore(tmp_path / "usage.sqlite")
    monkeypatch.setattr("chatkit.ledger.store._default", store)
    monkeypatch.setattr(rulebook, "FRESH", 0.0)
    monkeypatch.chdir(tmp_path)
    yield store
    store.close()


def notebook(folder: Path, *cells: str) -> Path:
    path = folder / "lesson.ipynb"
    made = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": "client.send('no')"}, *made]}))
    return path


def test_a_prompt_is_reckoned_with_its_limit() -> None:
    found = chatkit.estimate("Where was it held?", model="gpt-4o-mini", max_completion_tokens=100)
    assert found.once.completion == Range(0, 100, 100)
    assert found.once.cost is not None
    assert found.once.cost.likely == (found.once.prompt.likely * Decimal("0.15") + 60) / 1_000_000
    assert repr(found).splitlines()[-1] == f"It would go to {HOSTED}, model gpt-4o-mini."


def test_a_class_pays_as_often_as_it_has_students() -> None:
    one, class_ = (chatkit.estimate("Hi", model="gpt-4o-mini", students=n) for n in (1, 30))
    assert class_.once == one.once
    assert class_.total == one.once * 30
    assert "For 30 students: " in repr(class_)
    assert "<strong>≈ " in class_._repr_html_()


def test_the_next_turn_of_a_chat_holds_what_was_said() -> None:
    chat = chatkit.Chat("Be brief.", model="gpt-4o-mini", max_completion_tokens=50)
    short = chatkit.estimate(chat, "Where?", base_url=HOSTED)
    chat.conversation.add("user", "A long question " * 50)
    long = chatkit.estimate(chat, "Where?", base_url=HOSTED)
    assert long.once.prompt.low > short.once.prompt.low + 140
    assert long.once.completion.high == 50


def test_without_a_key_it_is_the_local_model_and_free_and_none_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatkit.client.local_process.local_server", lambda *_: pytest.fail("started"))
    found = chatkit.estimate([{"role": "user", "content": "Hi"}])
    assert found.once.cost == (0, 0, 0)
    assert repr(found).endswith("It would be answered on this machine, where it costs nothing.")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-1234567890")
    assert chatkit.estimate("Hi").once.cost != (0, 0, 0)


def test_who_names_a_model_asks_for_its_price_though_the_chat_is_local() -> None:
    local = Endpoint("http://127.0.0.1:1/v1", "chatkit-local-a", "SmolLM2", "local", local=True, window=8192)
    chat = chatkit.Chat()
    chat.endpoint = local
    assert chatkit.estimate(chat, "Hi").once.cost == (0, 0, 0)
    cost = chatkit.estimate(chat, "Hi", model="gpt-4o-mini").once.cost
    assert cost is not None
    assert cost.likely > 0


def test_an_own_price_counts() -> None:
    assert chatkit.estimate("Hi", model="my-model").once.cost is None
    chatkit.set_price("my-model", input=1, output=2)
    found = chatkit.estimate("Hi", model="my-model", max_completion_tokens=10)
    assert found.once.cost is not None
    assert found.once.unpriced_calls == 0
    assert found.once.cost.likely == Decimal(found.once.prompt.likely + 20) / 1_000_000


def test_sound_is_reckoned_by_its_length(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 8000 * 90))
    found = chatkit.estimate(path, model="whisper-1", students=2)
    assert found.once.audio_seconds == 90
    assert found.once.cost is not None
    assert (found.once.cost.likely, found.total.cost) == (Decimal("0.009"), (Decimal("0.018"),) * 3)
    assert repr(found).startswith("1.5 min of audio, ≈ 0.009 USD (at most 0.009).")


CELL = """
import chatkit
MODEL = "gpt-4o-mini"
%matplotlib inline
client = chatkit.connect()
answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}], max_tokens=10)
"""


def test_a_notebooks_calls_are_found_and_not_run(tmp_path: Path) -> None:
    loops = """
for question in ["a", "b", "c"]:
    client.responses.create(model=MODEL, input=question)
texts = [client.chat.completions.create(model=MODEL, messages=prompt) for n in range(2)]
while True:
    client.embeddings.create(model="text-embedding-3-small", input="Hi")
"""
    found = notebook_calls.find(notebook(tmp_path, CELL, loops))
    assert [(call.times, call.unwritten, call.doubts) for call in found] == [
        (1, 0, ()),
        (3, 1, (notebook_calls.PROMPT,)),
        (2, 1, (notebook_calls.PROMPT,)),
        (1, 0, ("a call in a loop is counted once",)),
    ]
    assert found[0].body == {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 10}


FUNCTIONS = """
def ask(messages, model="m"):
    return client.chat.completions.create(model=model, messages=messages)

short = lambda text: ask([{"role": "user", "content": text}])

async def twice(text):
    for _ in range(2):
        await client.responses.create(model="r", input=text)

def deep(n):
    return deep(n - 1) or client.responses.create(model="deep", input="Hi")

def talk(with_whom):
    with_whom.send("Hello")

def nobody_calls():
    client.responses.create(model="once", input="Hi")

class Asker:
    def ask(self):
        return client.responses.create(model="method", input="Hi")
"""


def test_a_call_in_a_function_is_counted_as_often_as_the_function_is_called(tmp_path: Path) -> None:
    calls = """
HI = [{"role": "user", "content": "Hi"}]
ask(HI)
ask(messages=HI, model="n")
answers = {manner: ask([{"role": "system", "content": manner}]) for manner in ("a", "b", "c")}
short("Hello")
await twice("And?")
deep(3)
chat = chatkit.Chat(model="c")
talk(chat)
talk(chat)
while True:
    ask(unknown)
"""
    found = notebook_calls.find(notebook(tmp_path, FUNCTIONS, calls))
    once = ("a call in a function that is not called by its name is counted once",)
    assert [(call.body.get("model", "chat"), call.times, call.doubts) for call in found] == [
        ("m", 1, ()), ("n", 1, ()), ("m", 3, (notebook_calls.PROMPT,)), ("m", 1, ()), ("r", 2, ()), ("deep", 1, ()),
        ("c", 1, ()), ("c", 1, ()), ("m", 1, (notebook_calls.PROMPT, "a call in a loop is counted once")),
        ("once", 1, once), ("method", 1, once),
    ]  # fmt: skip
    assert [len(call.body["messages"]) for call in found if call.body.get("model") == "c"] == [1, 3]


def test_functions_that_call_each_other_without_end_are_read_to_an_end(tmp_path: Path) -> None:
    code = "".join(f"def f{n}():\n    f{n + 1}()\n    f{n + 1}()\n" for n in range(40))
    found = notebook_calls.find(notebook(tmp_path, f"{code}def f40():\n    client.responses.create(input='Hi')\nf0()"))
    assert 100 < len(found) < notebook_calls.MOST_RUNS + 2
    assert found[-1].doubts == ("calls of functions within functions, too many to follow",)


def test_the_shipped_lesson_is_reckoned_with_all_its_calls() -> None:
    lesson = Path(__file__).parent.parent / "notebooks" / "02-roles-and-context.ipynb"
    assert "7 calls found in its code" in repr(chatkit.estimate(lesson, model="gpt-6-luna", base_url=HOSTED))


def test_a_chats_turns_grow_in_a_notebook(tmp_path: Path) -> None:
    turns = 'chat = chatkit.Chat("Be brief.", model="gpt-4o-mini")\nchat.send("One?")\nchat.send(input())\nchat.stream("Three?")'
    found = notebook_calls.find(notebook(tmp_path, turns, "%%chat\nHello", "%%bash\nclient.send", "def broken(:"))
    assert [(call.unwritten, call.answers, len(call.body.get("messages", ()))) for call in found] == [
        (0, 0, 2), (1, 1, 4), (1, 2, 6), (0, 0, 1), (0, 0, 0),
    ]  # fmt: skip
    assert found[-1].doubts == ("a cell that is not Python is not read",)


def test_a_list_of_messages_is_followed_as_far_as_it_is_written_out(tmp_path: Path) -> None:
    code = """
messages = [{"role": "user", "content": "Hi"}]
client.chat.completions.create(model="m", messages=messages)
messages.append({"role": "user", "content": "And?"})
client.chat.completions.create(model="m", messages=messages)
messages.append(answer)
client.chat.completions.create(model="m", messages=messages)
"""
    found = notebook_calls.find(notebook(tmp_path, code))
    assert [len(call.body.get("messages", ())) for call in found] == [1, 2, 0]
    assert [call.unwritten for call in found] == [0, 0, 1]


def test_a_notebook_says_what_it_assumed(tmp_path: Path) -> None:
    path = notebook(tmp_path, CELL, 'chat = chatkit.Chat()\nchat.send(text)\nchatkit.transcribe("gone.mp3")')
    found = chatkit.estimate(str(path), model="gpt-4o-mini", students=30)
    assert repr(found).splitlines()[2:] == [
        "lesson.ipynb: 3 calls found in its code, which was read and not run.",
        "1 × a prompt that is not written out.",
        "1 × sound whose file is not here, left out.",
        "300 tokens are assumed for each prompt that is not written out.",
        f"It would go to {HOSTED}, model gpt-4o-mini.",
    ]
    assert found.once.calls == 2
    assert found.once.prompt.high is None
    assert found.once.prompt.likely > 300


def test_an_earlier_run_tells_what_another_will_take(store: UsageStore) -> None:
    used = Usage(1000, 100, cost=Decimal(0), known="measured")
    store.add(UsageRecord("r", datetime.now(UTC), "Lesson 1", "/p", "h", "m", None, False, "complete", 200, None, 1, 0.1,
                          None, used))  # fmt: skip
    found = chatkit.estimate("lesson.ipynb", session="Lesson 1", model="gpt-4o-mini", students=30)
    assert found.total.cost is not None
    assert found.total.cost.likely == 30 * Decimal("0.00021")
    assert "By the 1 call of the session 'Lesson 1'." in repr(found)
    with pytest.raises(InputError, match="no calls in the session"):
        chatkit.estimate("lesson.ipynb", session="Lesson 9")


@pytest.mark.parametrize("what", [5, {"role": "user"}, [{"role": "user"}], "missing.ipynb"])
def test_what_cannot_be_reckoned_is_refused(what: Any) -> None:
    with pytest.raises(InputError):
        chatkit.estimate(what)


def test_a_class_has_one_student_at_least() -> None:
    with pytest.raises(InputError, match="students is 0"):
        chatkit.estimate("Hi", students=0)
