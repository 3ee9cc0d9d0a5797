"""Reports: what a turn, a request, a notebook or sound will use and cost, before anything is sent.

In: a chat, messages, a path, and how many people will do it. Out: a `Forecast`: tokens and US dollars, likely
and at most, and where they come from. Nothing is sent, and no local server is started.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from chatkit.api.hosts import OPENAI, HostRules
from chatkit.api.models import HOSTED_DEFAULT
from chatkit.api.speech_models import HOSTED_TRANSCRIBE
from chatkit.captions import calls_caption, forecast_caption
from chatkit.chats.chat import Chat
from chatkit.client import connect
from chatkit.client.address import is_loopback
from chatkit.client.keys import veiled_all
from chatkit.conversation.conversation import Conversation, Message
from chatkit.display import displayed
from chatkit.exceptions import InputError
from chatkit.ledger.estimate import TYPICAL, CostRange, Estimate, Range, estimate_audio, estimate_body, priced_as
from chatkit.ledger.record import Usage
from chatkit.ledger.store import default_store
from chatkit.reports import notebook_calls
from chatkit.reports.notebook_calls import Found
from chatkit.signs import fit_to_print

UNWRITTEN = 300
"""Tokens assumed for a prompt that the code does not write out."""
LEFT_OUT = "sound whose file is not here, left out"
NOTHING = Estimate(Range(0, 0, 0), Range(0, 0, 0), CostRange(Decimal(0), Decimal(0), Decimal(0)), "", calls=0)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What will likely be used and paid, and at most: once, and for `students` together.

    `once` and `total` are `Estimate`s; `how` says where the numbers come from, in sentences.

    >>> forecast = estimate("Where is the Louvre?", students=30, max_completion_tokens=100)
    >>> forecast.once.completion.high, forecast.total.completion.high
    (100, 3000)
    """

    once: Estimate
    students: int = 1
    how: tuple[str, ...] = field(default=())

    @property
    def total(self) -> Estimate:
        """For all students."""
        return self.once * self.students

    @fit_to_print
    def __repr__(self) -> str:
        lines = [forecast_caption(self.once)]
        if self.students > 1:
            lines.append(f"For {self.students} students: {forecast_caption(self.total)}")
        return "\n".join([*lines, *self.how])

    def _repr_html_(self) -> str:
        first, *rest = repr(self).splitlines()
        return displayed(f"<strong>{escape(first)}</strong>{''.join(f'<br>{escape(line)}' for line in rest)}")


def estimate(
    what: Any,
    text: str | None = None,
    *,
    model: str | None = None,
    base_url: str | None = None,
    students: int = 1,
    typical: int | None = None,
    session: str | None = None,
    **parameters: Any,
) -> Forecast:
    """What it will use and cost to send `what`: likely, at most, and for a class of `students`.

    `what` is a Chat (its next turn, with the question `text`), messages, a prompt, the path of a notebook
    (the calls that its code writes out), or sound (a path or what `transcribe` takes). `model` and
    `base_url` say where it would go, if not where the chat or the environment sends it; `typical` is the
    likely length of an answer in tokens; `parameters` are those of the request (max_completion_tokens).
    With `session`, a notebook is reckoned by what that earlier session used, priced as `model`.

    Raises InputError for what is none of these.
    """
    parameters = veiled_all(parameters)
    if type(students) is not int or students < 1:
        raise InputError(f"students is {students!r}; it must be a whole number of at least 1.")
    way = _Way.of(what, model, base_url)
    if session is not None:
        once, how = _by_session(session, way)
    elif isinstance(what, Chat):
        body = {**what.parameters, **parameters, "messages": _next_turn(what, text)}
        once, how = way.body(body, typical), []
    elif (path := _path(what)) and path.suffix == ".ipynb":
        once, how = _by_code(path, way, typical)
    elif _is_sound(what, path):
        once, how = way.sound(_seconds(what)), []
    else:
        once, how = way.body({**parameters, "messages": _messages(what)}, typical), []
    return Forecast(once, students, (once.how, *how, way.sentence))


@dataclass(frozen=True, slots=True)
class _Way:
    """Where requests would go, and what is charged there."""

    url: str
    model: str | None
    local: bool
    window: int | None = None
    rules: HostRules | None = None

    @classmethod
    def of(cls, what: Any, model: str | None, base_url: str | None) -> "_Way":
        chat = what if isinstance(what, Chat) else None
        asked = model or (chat.model if chat else None)
        endpoint = chat.endpoint if chat else None
        if base_url is not None or (model and (endpoint is None or endpoint.free)):
            return cls(base_url or OPENAI, asked, local=False)  # who names a model asks for its price
        endpoint = endpoint or connect.named()
        if endpoint is None:
            return cls("", asked, local=True)
        return cls(endpoint.base_url, asked or endpoint.model, endpoint.free, endpoint.window, endpoint.rules)

    @property
    def sentence(self) -> str:
        """Where it would go."""
        here = self.local and (not self.url or is_loopback(self.url))
        where = "be answered on this machine" if here else f"go to {self.url}"
        more = ", where it costs nothing" if self.local else f", model {self.model}" if self.model else ""
        return f"It would {where}{more}."

    def body(self, body: Mapping[str, Any], typical: int | None = None, more: int = 0) -> Estimate:
        """The estimate for one request, whose prompt has `more` tokens that are not in its body."""
        body = {**body, "model": self.model or body.get("model") or HOSTED_DEFAULT}
        return estimate_body(
            body, self.url, local=self.local, window=self.window, typical=typical, more=more, rules=self.rules
        )

    def sound(self, seconds: float, model: str | None = None) -> Estimate:
        """The estimate for so much sound."""
        name = self.model or model or HOSTED_TRANSCRIBE
        return estimate_audio(seconds, name, f"{self.url}/audio/transcriptions", local=self.local)


def _next_turn(chat: Chat, text: str | None) -> list[dict[str, Any]]:
    asked = text if text is not None else chat.pending
    messages = [message.to_api() for message in chat.conversation if message.enabled]
    return [*messages, {"role": "user", "content": asked}] if asked else messages


def _messages(what: Any) -> list[dict[str, Any]]:
    if isinstance(what, str):
        return [{"role": "user", "content": what}]
    if isinstance(what, Message):
        return [what.to_api()]
    if isinstance(what, Conversation | Iterable) and not isinstance(what, Mapping | bytes):
        return Conversation(what if not isinstance(what, Conversation) else what.messages).to_api()
    raise InputError(
        f"There is no estimate for a {type(what).__name__}.",
        "Give a chat, messages, a prompt, a notebook's path, or sound.",
    )


def _path(what: Any) -> Path | None:
    if isinstance(what, PathLike):
        return Path(fspath(what))
    if isinstance(what, str) and "\n" not in what and len(what) < 1000 and Path(what).suffix in (".ipynb", *_SOUND):
        return Path(what)
    return None


_SOUND = (".flac", ".m4a", ".mp3", ".mp4", ".mpeg", ".mpga", ".ogg", ".opus", ".wav", ".webm")


def _is_sound(what: Any, path: Path | None) -> bool:
    listed = isinstance(what, str | Conversation | Message | Mapping | list | tuple)
    return (
        path is not None
        or not (listed or (isinstance(what, Iterable) and not hasattr(what, "read")))
        or isinstance(what, bytes)
    )


def _seconds(what: Any) -> float:
    from chatkit.speech.costs import measure

    return measure(what)


def _by_code(path: Path, way: _Way, typical: int | None) -> tuple[Estimate, list[str]]:
    found = notebook_calls.find(path)
    made = [(_found(call, way, path, typical), call.times) for call in found if call.times]
    total = sum((one * times for one, times in made if one is not None), NOTHING)
    calls = sum(call.times for call in found)
    doubts = [doubt for call in found for doubt in call.doubts] + [LEFT_OUT for one, _ in made if one is None]
    assumed = [f"{doubts.count(doubt)} × {doubt}." for doubt in dict.fromkeys(doubts)]
    if any(call.unwritten for call in found):
        assumed.append(f"{UNWRITTEN} tokens are assumed for each prompt that is not written out.")
    if any(call.answers for call in found):
        assumed.append(f"Each turn of a chat sends its earlier answers again: {typical or TYPICAL} tokens each.")
    said = f"{path.name}: {calls} {'call' if calls == 1 else 'calls'} found in its code, which was read and not run."
    return replace(total, how=said), assumed


def _found(call: Found, way: _Way, path: Path, typical: int | None) -> Estimate | None:
    if call.is_sound:
        file = path.parent / call.sound if call.sound else None
        return way.sound(_seconds(file), call.body.get("model")) if file and file.is_file() else None
    return way.body(call.body, typical, call.answers * (typical or TYPICAL) + call.unwritten * UNWRITTEN)


def _by_session(name: str, way: _Way) -> tuple[Estimate, list[str]]:
    """What an earlier session used, as an estimate of doing the same again."""
    used = default_store().total(session=name)
    if not used.calls:
        raise InputError(
            f"There are no calls in the session {name!r}.", "chatkit.usage() shows the sessions there are."
        )
    cost = _cost_again(used, way)
    prompt, came = used.prompt_tokens or 0, used.completion_tokens or 0
    left = f"; {used.unknown_calls} of unknown usage are left out" if used.unknown_calls else ""
    once = Estimate(
        Range(prompt, prompt, None),
        Range(came, came, None),
        CostRange(cost, cost, None) if cost is not None else None,
        f"By the {calls_caption(used.calls)} of the session {name!r}{left}.",
        used.audio_seconds or 0,
        used.calls,
        used.calls if cost is None else 0,
    )
    return once, ["Another run may use more or less."]


def _cost_again(used: Usage, way: _Way) -> Decimal | None:
    if way.local:
        return Decimal(0)
    if way.model is None:
        return used.cost
    return priced_as(used, way.model, way.url, datetime.now(UTC))
