"""The wire's ends: which finish reason means what, for the reply, the message and the usage row alike.

In: a `finish_reason` (or a response's status) as an endpoint sends it. Out: an `Outcome`. A server that has words of
its own gets a line here, and nothing else.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Literal

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
