"""The wire's answers as values: what came, which end means what, and the counts of what was used.

In: what reading.py and the dialects add. Out: to the engine, which yields deltas, and to the chat, which keeps answers.

A server that has words of
its own gets a line here, and nothing else.

What is no
number is left out; a usage of zeros is none, since no call is made of nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from chatkit.api.items import ToolCalls

Outcome = Literal["complete", "length", "filtered", "incomplete", "cancelled", "error"]

NO_REASON = frozenset({"", "null", "none", "nil", "undefined", "false", "unspecified", "not_finished"})
"""Words that stand where nothing is to be said yet: Ollama, SGLang, GenieX ("": ollama/ollama#4357,
sgl-project/sglang#3912), KoboldCpp ("null": PowerShell/AIShell#350), Python's None as text, protobuf's
FINISH_REASON_UNSPECIFIED (Gemini), watsonx's not_finished."""

ENDS: dict[str, tuple[Outcome, str]] = {
    # the answer is whole
    "stop": ("complete", "OpenAI"),
    "tool_calls": ("complete", "OpenAI"),
    "function_call": ("complete", "OpenAI, before tools"),
    "completed": ("complete", "OpenAI, status of a response"),
    "end_turn": ("complete", "Anthropic, Bedrock, xAI"),
    "stop_sequence": ("complete", "Anthropic, Bedrock, Cohere"),
    "tool_use": ("complete", "Anthropic, Bedrock"),
    "tool_call": ("complete", "Cohere"),
    "complete": ("complete", "Cohere"),
    "eos": ("complete", "Together, llama.cpp"),
    # the answer was cut at a limit
    "length": ("length", "OpenAI"),
    "max_output_tokens": ("length", "OpenAI, a response's incomplete_details"),
    "max_tokens": ("length", "Anthropic, Gemini, Bedrock, Cohere: genkit-ai/genkit#6259"),
    "max_new_tokens": ("length", "Hugging Face"),
    "max_completion_tokens": ("length", "gateways that name the parameter"),
    "max_length": ("length", "Hugging Face"),
    "maxtokens": ("length", "AI21 and Java gateways: maxTokens"),
    "model_length": ("length", "Mistral"),
    "model_context_window_exceeded": ("length", "Anthropic, z.AI"),
    "context_length_exceeded": ("length", "vLLM's gateways"),
    "context_length": ("length", "LM Studio"),
    "contextlengthreached": ("length", "LM Studio: contextLengthReached"),
    "maxpredictedtokensreached": ("length", "LM Studio: maxPredictedTokensReached"),
    "token_limit": ("length", "watsonx"),
    "error_limit": ("length", "Cohere: the context is full"),
    "limit": ("length", "llama.cpp's stop_type"),
    # a filter cut or withheld it
    "content_filter": ("filtered", "OpenAI; also with words behind a colon"),
    "content_filtered": ("filtered", "Bedrock"),
    "guardrail_intervened": ("filtered", "Bedrock"),
    "safety": ("filtered", "Gemini"),
    "recitation": ("filtered", "Gemini"),
    "blocklist": ("filtered", "Gemini"),
    "prohibited_content": ("filtered", "Gemini"),
    "spii": ("filtered", "Gemini"),
    "image_safety": ("filtered", "Gemini"),
    "image_prohibited_content": ("filtered", "Gemini"),
    "image_recitation": ("filtered", "Gemini"),
    "model_armor": ("filtered", "Vertex"),
    "sensitive": ("filtered", "z.AI"),
    "refusal": ("filtered", "Anthropic: a classifier stopped it"),
    "error_toxic": ("filtered", "Cohere"),
    # the endpoint gave up before the end
    "error": ("incomplete", "OpenRouter, Mistral, Cohere: maximhq/bifrost#5425"),
    "failed": ("incomplete", "LM Studio; OpenAI's status beside an error"),
    "incomplete": ("incomplete", "OpenAI, a response without a reason"),
    "in_progress": ("incomplete", "OpenAI, a status that is not the last"),
    "queued": ("incomplete", "OpenAI, a status that is not the last"),
    "insufficient_system_resource": ("incomplete", "DeepSeek"),
    "network_error": ("incomplete", "z.AI"),
    "server_error": ("incomplete", "gateways"),
    "upstream_error": ("incomplete", "gateways"),
    "timeout": ("incomplete", "Cohere"),
    "time_limit": ("incomplete", "watsonx"),
    "abort": ("incomplete", "vLLM, SGLang"),
    "aborted": ("incomplete", "SGLang"),
    "unload": ("incomplete", "Ollama: the model was unloaded"),
    "modelunloaded": ("incomplete", "LM Studio: modelUnloaded"),
    "other": ("incomplete", "Gemini: it gave up and does not say why"),
    "language": ("incomplete", "Gemini: a language that it does not take"),
    "malformed_function_call": ("incomplete", "Gemini"),
    "malformed_response": ("incomplete", "Gemini"),
    "unexpected_tool_call": ("incomplete", "Gemini"),
    "too_many_tool_calls": ("incomplete", "Gemini"),
    "malformed_model_output": ("incomplete", "Bedrock"),
    "malformed_tool_use": ("incomplete", "Bedrock"),
    "pause_turn": ("incomplete", "Anthropic: to be sent back and gone on with"),
    # somebody stopped it
    "cancelled": ("cancelled", "OpenAI, status of a response; watsonx"),
    "canceled": ("cancelled", "gateways"),
    "user_cancel": ("cancelled", "Cohere"),
    "userstopped": ("cancelled", "LM Studio: userStopped"),
}  # fmt: skip
"""Each word, what it means, and who says it; a word that is not here is whole, with a note."""

_WORST: dict[Outcome, int] = {
    "complete": 0, "length": 1, "filtered": 2, "cancelled": 3, "incomplete": 4, "error": 5,
}  # fmt: skip


def reason_of(value: Any) -> str | None:
    """The finish reason as it was sent; None where none was.

    >>> reason_of("stop"), reason_of("NULL"), reason_of(" "), reason_of({"type": "length", "length": 9})
    ('stop', None, None, 'length')
    """
    if isinstance(value, dict):
        value = value.get("type")  # SGLang, before its version 0.3
    if value is None or value is False or value == 0:
        return None
    text = value if isinstance(value, str) else str(value)
    return None if _word(text) in NO_REASON else text


def outcome_of(reason: str) -> Outcome:
    """How an answer with this reason ended.

    >>> [outcome_of(reason) for reason in ("stop", "MAX_TOKENS", "content_filter: SPII", "brand_new")]
    ['complete', 'length', 'filtered', 'complete']
    """
    return ENDS.get(_word(reason), ("complete", ""))[0]


def is_known(reason: str) -> bool:
    """Whether the table has the reason."""
    return _word(reason) in ENDS


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The one outcome of several answers: that of the one which ended worst."""
    return max(outcomes, key=_WORST.__getitem__, default="complete")


@lru_cache(maxsize=256)
def _word(reason: str) -> str:
    """The word of the table: `FinishReason.MAX_TOKENS`, `FINISH_REASON_MAX_TOKENS`, `content-filter: why`."""
    word = reason.partition(":")[0].strip().rpartition(".")[2]
    return word.casefold().replace("-", "_").replace(" ", "_").removeprefix("finish_reason_")


DeltaKind = Literal["text", "reasoning", "refusal", "tool_call"]

SPOKEN = "the answer was spoken; these are its words"
UNHEARD = "sound came with the answer; chatkit does not play it"


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer as it came: more `text` for the answer number `index`; iterate over a `Run` to get them.

    >>> "".join(piece.text for piece in [Delta("Bra"), Delta("zil")] if piece.kind == "text")
    'Brazil'
    """

    text: str
    index: int = 0
    kind: DeltaKind = "text"


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice of a reply: `n=2` gives two. `note` says what came beside the text and is not shown.

    >>> Answer(text="Brazil", finish_reason="stop").outcome
    'complete'
    """

    index: int = 0
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    finish_reason: str | None = None
    note: str = ""
    how: Outcome | None = field(default=None, compare=False, repr=False)
    """How it ended, where its reason alone does not tell."""

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None where it gave no reason."""
        return self.how or (outcome_of(self.finish_reason) if self.finish_reason else None)

    @property
    def came(self) -> bool:
        """Whether there is anything to keep: words, a call, or what the note names.

        >>> Answer(note="1 picture came with the answer; chatkit does not show it").came, Answer(reasoning="Hm.").came
        (True, False)
        """
        return bool(self.text or self.refusal or self.tool_calls or self.note)


class GrowingAnswer:
    """One answer while it grows."""

    __slots__ = ("calls", "finish_reason", "half", "how", "media", "parts")

    def __init__(self) -> None:
        self.parts: dict[DeltaKind, list[str]] = {"text": [], "reasoning": [], "refusal": []}
        self.calls = ToolCalls()
        self.finish_reason: str | None = None
        self.how: Outcome | None = None
        self.half: dict[DeltaKind, str] = {}
        self.media: dict[str, int] = {}

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None where it gave no reason yet."""
        return self.how or (outcome_of(self.finish_reason) if self.finish_reason else None)

    def frozen(self, index: int) -> Answer:
        """The answer as it is now."""
        text, reasoning, refusal = ("".join(self.parts[k]) for k in ("text", "reasoning", "refusal"))
        calls, note = self.calls.frozen(), _beside(self.media)
        return Answer(index, text, reasoning, refusal, calls, self.finish_reason, note, self.how)


def _beside(media: Mapping[str, int]) -> str:
    """What came beside the text, in words."""
    notes = []
    if pictures := media.get("picture"):
        many = pictures > 1
        came = f"{pictures} pictures" if many else "1 picture"
        notes.append(f"{came} came with the answer; chatkit does not show {'them' if many else 'it'}")
    if media.get("spoken") or media.get("sound"):
        notes.append(SPOKEN if media.get("spoken") else UNHEARD)
    return "; ".join(notes)


Counts = Mapping[str, int | float]

_TOP = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens",
        "input_tokens": "input_tokens", "output_tokens": "output_tokens", "seconds": "audio_seconds"}  # fmt: skip
_INPUT = {"cached_tokens": "cache_read_tokens", "cache_write_tokens": "cache_write_tokens",
          "audio_tokens": "input_audio_tokens", "image_tokens": "input_image_tokens"}  # fmt: skip
_OUTPUT = {"reasoning_tokens": "output_reasoning_tokens", "audio_tokens": "output_audio_tokens",
           "image_tokens": "output_image_tokens"}  # fmt: skip
_DETAILS = {"prompt_tokens_details": _INPUT, "input_tokens_details": _INPUT, "input_token_details": _INPUT,
            "completion_tokens_details": _OUTPUT, "output_tokens_details": _OUTPUT,
            "output_token_details": _OUTPUT}  # fmt: skip
_BESIDE = {
    "cached_tokens": "cache_read_tokens",  # Moonshot: Bike4Mind/bike4mind#1089
    "prompt_cache_hit_tokens": "cache_read_tokens",  # DeepSeek
    "reasoning_tokens": "output_reasoning_tokens",  # Perplexity
}
"""Counts that some servers put beside the details instead of into them; the details count first."""
_PLACES = ("delta", "message")
_TOOLS = {"web_search_call": "web_searches", "file_search_call": "storage_searches"}


def find(chunk: Mapping[str, Any]) -> Counts | None:
    """The counts of a chunk or an answer: in its `usage`, else in the places of Groq, Moonshot and others.

    >>> find({"choices": [{"finish_reason": "stop", "usage": {"prompt_tokens": 9, "completion_tokens": 3}}]})
    {'input_tokens': 9, 'output_tokens': 3}
    """
    return next(filter(None, map(read, _places(chunk))), None)


def _places(chunk: Mapping[str, Any]) -> Iterator[Any]:
    yield chunk.get("usage")
    groq = chunk.get("x_groq")
    if isinstance(groq, Mapping):  # Groq: vercel/ai#1651
        yield groq.get("usage")
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, Mapping):  # Moonshot: earendil-works/pi#2017
            yield choice.get("usage")
            yield from (inner.get("usage") for inner in map(choice.get, _PLACES) if isinstance(inner, Mapping))


def read(usage: Any) -> Counts | None:
    """The counts in a `usage` object; None if there are none, or only zeros.

    >>> read({"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}})
    {'input_tokens': 9, 'output_tokens': 3, 'cache_read_tokens': 4}
    >>> read({"type": "duration", "seconds": 2.5})
    {'audio_seconds': 2.5}
    >>> read({"prompt_tokens": 0, "completion_tokens": 0})
    """
    if not isinstance(usage, dict):
        return None
    counts: dict[str, int | float] = {new: usage[old] for old, new in _TOP.items() if is_count(usage.get(old))}
    counts |= {new: usage[old] for old, new in _BESIDE.items() if is_count(usage.get(old))}
    for name, fields in _DETAILS.items():
        details = usage.get(name)
        if isinstance(details, dict):
            counts |= {new: details[old] for old, new in fields.items() if is_count(details.get(old))}
    if not any(counts.values()) and "audio_seconds" not in counts:
        return None
    return _with_hidden(counts, usage.get("total_tokens"))


def _with_hidden(counts: dict[str, int | float], total: Any) -> Counts:
    """Add what was reasoned and is only in the total: xAI (vercel/ai#12425), Gemini (langfuse/langfuse#16321)."""
    sent, came = counts.get("input_tokens"), counts.get("output_tokens")
    if sent is None or came is None or not is_count(total) or total <= sent + came:
        return counts
    hidden, reasoned = total - sent - came, counts.get("output_reasoning_tokens")
    if hidden == reasoned or (not reasoned and hidden != counts.get("cache_read_tokens")):
        counts["output_tokens"] = came + hidden
    return counts


def with_tools(counts: Counts, items: Sequence[object]) -> Counts:
    """The counts and, from the types of a response's items, the searches that are charged beside its tokens."""
    called = {key: items.count(kind) for kind, key in _TOOLS.items() if kind in items}
    return {**counts, **called} if called else counts


def is_count(value: Any) -> bool:
    """Whether it is a number that can count something."""
    return type(value) in (int, float) and 0 <= value < 2**53
