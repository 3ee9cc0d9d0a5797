"""Facts about the hosted models, by name: days of shut-down, efforts of reasoning, which API they speak.

In: nothing. Out: tables for catalog.py. Sources: `openai/types/shared/chat_model.py`, `reasoning.py` and
`chat/completion_create_params.py` of openai 3.54; the vendor's model pages and its guides to reasoning and
to GPT-6 (developers.openai.com/api/docs), read in November 2026. What they do not say is left out.
"""

from datetime import date

ENDS = {
    date(2024, 1, 4): "text-davinci-002 text-davinci-003",
    date(2024, 9, 13): "gpt-3.5-turbo-16k gpt-3.5-turbo-0301 gpt-3.5-turbo-0613 gpt-3.5-turbo-16k-0613",
    date(2024, 12, 6): "gpt-4-vision-preview",
    date(2025, 6, 6): "gpt-4-32k gpt-4-32k-0314 gpt-4-32k-0613",
    date(2025, 7, 28): "o1-preview",
    date(2025, 10, 10): "gpt-4o-audio-preview-2024-10-01",
    date(2025, 10, 27): "o1-mini",
    date(2026, 2, 12): "codex-mini-latest",
    date(2026, 2, 17): "chatgpt-4o-latest",
    date(2026, 3, 26): "gpt-4-0125-preview gpt-4-turbo-preview gpt-4-0314",
    date(2026, 5, 7): "gpt-4o-audio-preview gpt-4o-mini-audio-preview",
    date(2026, 7, 23): "gpt-5.1-codex gpt-5.1-chat-latest gpt-5-chat-latest gpt-4o-search-preview gpt-4o-mini-search-preview",
    date(2026, 8, 10): "gpt-5.3-chat-latest gpt-5.2-chat-latest",
    date(2026, 9, 28): "gpt-3.5-turbo-1106",
    date(2026, 10, 23): "gpt-4.1-nano o4-mini o3-mini o1 gpt-4o-2024-05-13 gpt-4-turbo gpt-4-1106-preview gpt-4 gpt-4-0613 gpt-3.5-turbo gpt-3.5-turbo-0125",
    date(2026, 12, 11): "gpt-5 gpt-5-mini gpt-5-nano o3",
    date(2027, 1, 14): "gpt-4.1 gpt-4.1-mini gpt-4o gpt-4o-mini",
    date(2027, 1, 20): "gpt-audio-mini",
    date(2027, 2, 26): "whisper-1 gpt-4o-transcribe gpt-4o-mini-transcribe",
    date(2027, 4, 1): "gpt-5.4-nano gpt-5.1",
}  # fmt: skip

EFFORTS = {
    "o1": "low medium high",
    "o3": "low medium high",
    "o4-mini": "low medium high",
    "gpt-5": "minimal low medium high",
    "gpt-5-pro": "high",
    "gpt-5-codex": "low medium high",
    "gpt-5.1": "none low medium high",
    "gpt-5.1-codex": "low medium high",
    "gpt-5.1-codex-max": "low medium high xhigh",
    "gpt-5.2": "none low medium high xhigh",
    "gpt-5.2-codex": "low medium high xhigh",
    "gpt-5.2-pro": "medium high xhigh",
    "gpt-5.4": "none low medium high xhigh",
    "gpt-5.6": "none low medium high xhigh max",
    "gpt-6": "low medium high xhigh max",
    "gpt-6-luna": "none low medium high xhigh max",
    "gpt-6-sol": "none low medium high xhigh max",
    "gpt-6.1": "low medium high xhigh max",
    "gpt-6.2-astra": "low medium high xhigh max",
    "gpt-4": "",
    "gpt-4o": "",
    "gpt-4.1": "",
    "gpt-3.5-turbo": "",
}
"""How much a model may be told to reason; nothing where it does not reason at all."""

AT_REST = ("gpt-5.1", "gpt-5.2", "gpt-5.4")
"""Families that do not reason unless told to; the others of `EFFORTS` do."""

NO_PENALTIES = ("o1", "o3", "o4-mini", "gpt-5")
"""Families that take neither penalties nor stop sequences."""

RESPONSES_ONLY = (
    "o1-pro", "o3-pro", "o3-deep-research", "o4-mini-deep-research", "computer-use-preview", "gpt-5-pro", "gpt-5-codex",
    "gpt-5.1-codex", "gpt-5.2-codex", "gpt-5.2-pro", "gpt-5.4-pro", "gpt-5.5-pro",
)  # fmt: skip
CHAT_ONLY = ("gpt-audio", "gpt-4o-audio-preview", "gpt-4o-mini-audio-preview", "gpt-4o-search-preview",
             "gpt-4o-mini-search-preview", "gpt-5-search-api")  # fmt: skip


def family(name: str, families: "dict[str, str] | tuple[str, ...]") -> str | None:
    """The longest of `families` that the name is of: `gpt-5-mini-2025-08-07` is of `gpt-5`, `gpt-5.1` is not.

    >>> family("gpt-5.1-mini", EFFORTS), family("gpt-5.3", EFFORTS)
    ('gpt-5.1', None)
    """
    known = (start for start in families if name == start or name.startswith(f"{start}-"))
    return max(known, key=len, default=None)
