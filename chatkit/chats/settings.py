"""What a chat asks with beside its messages, and the rule that says which of those are sent.

In: what a person has set, or what a file says. Out: checks against an endpoint, in sentences; the form for a file.

Whole turns are left
out, the oldest first; no message is ever cut, and nothing is left out unsaid.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from chatkit.api import models, parameters
from chatkit.api.request import APIS, Api
from chatkit.api.text import SECRET
from chatkit.client import connect
from chatkit.client.address import Endpoint
from chatkit.conversation.message import HEADS, Message, mended_all
from chatkit.exceptions import InputError, mended
from chatkit.ledger import estimate

if TYPE_CHECKING:
    import openai


Trim = Literal["none", "oldest"] | int

OFF = "switched off"
RESERVE = 8
"""The part of a window (one in so many) that is kept for an answer whose length has no limit."""
REMEMBERED = 20_000

TurnMessages = tuple[Message, ...]


def check_trim(trim: Any) -> Trim:
    """The rule itself; raises InputError for what is none."""
    if trim in ("none", "oldest") or (type(trim) is int and trim > 0):
        return trim  # type: ignore[no-any-return]  # just checked
    raise InputError(f"trim is {trim!r}; it must be 'none', 'oldest', or a number of tokens of at least 1.")


class TokenCounts:
    """Estimates of messages' tokens, each made once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[Message, int]] = {}

    def of(self, message: Message, model: str) -> int:
        """About how many prompt tokens the message takes."""
        key = (message.id, model)
        known = self._known.get(key)
        if known is None or not known[0].is_same(message):
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[key] = (message, estimate.of_prompt({"model": model, "messages": [message.to_api()]}))
        return known[1]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which messages are sent. `left_out` has the reason for each other one, by id; `tokens` is an estimate.

    `trimmed_turns` are those that the rule left out, the oldest first, and about `trimmed_tokens` of the prompt.
    """

    messages: tuple[Message, ...]
    left_out: Mapping[str, str]
    tokens: int
    trimmed_turns: tuple[TurnMessages, ...] = ()
    trimmed_tokens: int = 0

    @property
    def trimmed(self) -> str:
        """What the rule left out, in words; empty where it left out nothing.

        >>> turn = (Message("user", "Why?"),)
        >>> Selection((), {}, 0, (turn, turn, turn), 2100).trimmed
        '3 oldest turns left out (about 2,100 tokens)'
        """
        count = len(self.trimmed_turns)
        if not count:
            return ""
        return f"{count} oldest turn{'s' if count > 1 else ''} left out (about {self.trimmed_tokens:,} tokens)"


def select(
    messages: Sequence[Message],
    trim: Trim,
    *,
    counts: TokenCounts,
    model: str = "",
    window: int | None = None,
    answer: int | None = None,
    around: int = 0,
) -> Selection:
    """Choose what is sent. `around` is the estimate of the request's other text, `answer` the answer's limit.

    With "oldest" the estimate must fit the window less the answer; with a number, that number of tokens. System and
    developer messages and the last turn always stay.
    """
    on = [message for message in messages if message.enabled]
    left_out = {message.id: OFF for message in messages if not message.enabled}
    total = around + sum(counts.of(message, model) for message in on)
    limit, rule = _limit(trim, window, answer)
    dropped: list[TurnMessages] = []
    for turn in turns(on)[:-1]:
        if limit is None or total <= limit:
            break
        dropped.append(turn)
        total -= sum(counts.of(message, model) for message in turn)
    gone = {message.id for turn in dropped for message in turn}
    about = sum(counts.of(message, model) for turn in dropped for message in turn)
    left_out |= dict.fromkeys(gone, f"trimmed: the oldest turns do not fit {rule}")
    sent = tuple(message for message in on if message.id not in gone)
    return Selection(sent, MappingProxyType(left_out), total, tuple(dropped), about)


def turns(messages: Iterable[Message]) -> list[TurnMessages]:
    """The messages that can be left out, by turns: a user's message with all that follows, up to the next one.

    >>> said = [Message("system", "a"), Message("user", "b"), Message("assistant", "c"), Message("user", "d")]
    >>> [[m.content for m in turn] for turn in turns(said)]
    [['b', 'c'], ['d']]
    """
    said = [message for message in messages if message.role not in HEADS]
    starts = [i for i, message in enumerate(said) if i == 0 or message.role == "user"]
    return [tuple(said[start:end]) for start, end in pairwise([*starts, len(said)])]


def changed(sent: Iterable[Message], now: Mapping[str, Message]) -> str:
    """What has changed of the messages that were sent, in words; `now` are those that stand there, by id.

    >>> said = Message("user", "Why?")
    >>> changed([said], {said.id: said}), changed([said], {})
    ('', 'asked before a message was changed')
    """
    gone = [one for one in sent if (here := now.get(one.id)) is not one and not _stands(one, here)]
    if not gone:
        return ""
    return "asked under another system prompt" if gone[0].role in HEADS else "asked before a message was changed"


def _stands(sent: Message, here: Message | None) -> bool:
    return here is not None and here.enabled and here.is_same(sent)


def room(window: int | None, answer: int | None) -> int | None:
    """The tokens of a prompt that leave room for the answer; None where the window is unknown."""
    if window is None:
        return None
    return max(0, window - (window // RESERVE if answer is None else answer))


def _limit(trim: Trim, window: int | None, answer: int | None) -> tuple[int | None, str]:
    if trim == "oldest":
        return room(window, answer), f"the window of {window:,} tokens" if window else ""
    return (None, "") if trim == "none" else (trim, f"the budget of {trim:,} tokens")


NO_PARAMETERS = frozenset((*parameters.OWN, "self", "system", "client", "conversation", "api", "trim", "history"))
"""What chatkit sets itself, in its own words."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a turn is asked with. `model` None is the endpoint's; parameters that are None are not sent.

    Raises InputError for what no chat can have.

    >>> Settings(api="responses").rejected(None)["seed"]
    'The Responses API has no seed.'
    """

    model: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    api: Api = "chat"
    trim: Trim = "none"

    def __post_init__(self) -> None:
        if self.api not in APIS:
            raise InputError(f"api is {self.api!r}; it must be 'chat' or 'responses'.")
        check_trim(self.trim)
        for name in parameters.CONNECTION:
            if name in self.parameters:
                raise InputError(
                    f"{name} is not a parameter of a chat.", "Chat(client=chatkit.connect(...)) says where calls go."
                )
        if isinstance(self.model, str):
            object.__setattr__(self, "model", mended(self.model))
        given = {k: v for k, v in self.parameters.items() if v is not None}
        object.__setattr__(self, "parameters", mended_all(given, "parameters"))

    def name(self, endpoint: Endpoint | None) -> str:
        """The model's name that is sent."""
        return self.model or (endpoint.model if endpoint else models.HOSTED_DEFAULT)

    def window(self, endpoint: Endpoint | None) -> int | None:
        """The tokens that the model takes, answer included; None where that is unknown."""
        if endpoint is not None and endpoint.rules == "local":
            return endpoint.window
        if endpoint is None and self.model is None:
            return None
        return estimate.context_window(self.name(endpoint), endpoint.base_url if endpoint else estimate.OPENAI)

    def known(self, endpoint: Endpoint | None) -> models.Model:
        """What is known of the model where it is asked; of one that nobody knows who will answer for, nothing."""
        return models.find(self.name(endpoint), endpoint.rules if endpoint else "own")

    def faults(self) -> list[str]:
        """What cannot be sent to any endpoint, a sentence each."""
        return parameters.faults(self.model or models.HOSTED_DEFAULT, self.parameters, None)

    def refusals(self, endpoint: Endpoint | None) -> list[str]:
        """Why the endpoint would refuse the request, a sentence each; whoever is not OpenAI decides for himself."""
        if endpoint is None:
            return []
        known, name = self.known(endpoint), self.name(endpoint)
        if gone := known.gone(datetime.now(UTC).date()):
            return [gone]
        here, anywhere = (parameters.faults(name, self.parameters, rules) for rules in (endpoint.rules, None))
        return [*known.refusals(self.parameters, self.api), *(fault for fault in here if fault not in anywhere)]

    def rejected(self, endpoint: Endpoint | None) -> Mapping[str, str]:
        """Which parameters would be refused or not heeded, set or not, and why; also "api", where the model has one."""
        return self.known(endpoint).rejected(self.parameters, self.api)

    def kept(self) -> dict[str, Any]:
        """The form for a file."""
        return {"model": self.model, "parameters": dict(self.parameters), "api": self.api, "trim": self.trim}

    @classmethod
    def from_kept(cls, kept: Mapping[str, Any]) -> "Settings":
        """Settings from a file; what else the file holds is let go. The errors name the field."""
        own = {name: kept[name] for name in ("model", "parameters", "api", "trim") if name in kept}
        if not isinstance(own.get("model"), str | None):
            raise InputError(f"settings.model is {own['model']!r:.60}; it must be text.")
        if not isinstance(own.get("parameters", {}), dict):
            raise InputError("settings.parameters must be an object.")
        for name in own.get("parameters", {}):
            if name in NO_PARAMETERS:
                raise InputError(
                    f"settings.parameters has {name!r}, which is no parameter of the API.", "Take it out of the file."
                )
        try:
            return cls(**own)
        except InputError as error:
            raise InputError(f"settings: {error.cause}", error.way_out) from None


class ChatSettings:
    """What every turn of a chat is asked with; a person may change all of it between two turns."""

    def __init__(
        self,
        model: str | None,
        client: "openai.OpenAI | openai.AsyncOpenAI | None",
        api: Api,
        trim: Trim,
        parameters: dict[str, Any],
    ) -> None:
        Settings(parameters=parameters)  # refuses a key, which must not be kept in any attribute
        self.parameters = parameters
        self.model = model
        self.api = api
        self.trim = trim
        self.endpoint = connect.endpoint_of(client) if client is not None else None
        self._set_aside: dict[str, Any] = {}

    @property
    def api(self) -> Api:
        """The API that is asked: "chat" or "responses"."""
        return self._api

    @api.setter
    def api(self, api: Api) -> None:
        self._api: Api = Settings(api=api).api

    @property
    def trim(self) -> Trim:
        """The rule by which a long conversation is shortened for sending: "none", "oldest", or a number of tokens."""
        return self._trim

    @trim.setter
    def trim(self, trim: Trim) -> None:
        self._trim: Trim = check_trim(trim)

    @property
    def rejected(self) -> Mapping[str, str]:
        """Which parameters the present API or model would refuse, and why, a sentence each."""
        return self._settings().rejected(self.foreseen)

    @property
    def foreseen(self) -> Endpoint | None:
        """Where the next turn goes: the endpoint there is, else the one that the environment names.

        None where it names none: the local server will be started, and answer.
        """
        return self.endpoint or connect.foreseen()

    def goes_on(self, message: Message) -> bool:
        """Whether who answers lets an answer go on in its own text; elsewhere `resume` asks for the rest."""
        local = self.endpoint is not None and self.endpoint.rules == "local"
        return local and isinstance(message.content, str) and bool(message.text) and message.enabled

    @property
    def set_aside(self) -> Mapping[str, Any]:
        """What the file that this chat was loaded from sets beside, and nobody has taken yet, by name."""
        return MappingProxyType(self._set_aside)

    def accept(self) -> Mapping[str, Any]:
        """Take what the file sets and `set_aside` names; gives back what was taken."""
        taken = self.decline()
        self.model = taken.get("model", self.model)
        self.parameters |= {name: value for name, value in taken.items() if name != "model"}
        return taken

    def decline(self) -> Mapping[str, Any]:
        """Leave out for good what `set_aside` names; gives back what was left out."""
        gone, self._set_aside = self._set_aside, {}
        return gone

    def _settings(self) -> Settings:
        return Settings(self.model, dict(self.parameters), self.api, self.trim)

    def _keys(self) -> list[str]:
        """The keys that are held, none of which may be written down."""
        endpoint = self.endpoint
        azure = dict(endpoint.azure) if endpoint else {}
        held = (endpoint and endpoint.api_key, azure.get("api_key"), azure.get("azure_ad_token"))
        return [key for key in held if isinstance(key, str) and len(key) >= SECRET]
