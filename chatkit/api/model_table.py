"""The wire, the facts about OpenAI's models by name: one table of those that chat, one of those that hear.

In: nothing. Out: rows for models.py and speech_models.py. Sources: `openai/types/shared/chat_model.py`,
`reasoning.py`, `chat/completion_create_params.py`, `audio_model.py`, `audio/transcription_create_params.py` and
`translation_create_params.py` of openai 3.54 (days of shut-down, formats, parameters); the vendor's model pages and
its guides to reasoning and to GPT-6 (developers.openai.com/api/docs), read in November 2026. What they do not say is
left out. 1,400 s of audio is what the API answers the gpt-4o family for longer files; assumed for the others.
"""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts about a model, and about all whose names go on after a hyphen; None is what the shorter name has.

    `ends` is the day of shut-down, of this name and its dated snapshots only. `efforts` is how much it may be told to
    reason, empty where it does not reason at all; `rests` that it does not unless told to; `steers` that it takes
    penalties, stop sequences and biases; `only` the one API that it speaks; `longest` the most tokens of an answer.
    """

    name: str
    ends: date | None = None
    efforts: str | None = None
    rests: bool | None = None
    steers: bool | None = None
    only: str | None = None
    longest: int | None = None


@dataclass(frozen=True, slots=True)
class SpeechRow:
    """Facts about a model for speech: what it can do, in words of speech_models.SpeechModel."""

    name: str
    ends: date | None
    can: str
    longest: float = 1400.0


OCTOBER, DECEMBER, JANUARY = date(2026, 10, 23), date(2026, 12, 11), date(2027, 1, 14)
FEBRUARY = date(2027, 2, 26)
"""The day on which all hosted models for speech end but one, and the endpoint for translations with them."""

_LOW_TO_HIGH = "low medium high"
_TO_XHIGH = "none low medium high xhigh"

TABLE: tuple[ModelFacts, ...] = (
    ModelFacts("text-davinci-002", date(2024, 1, 4)),
    ModelFacts("text-davinci-003", date(2024, 1, 4)),
    ModelFacts("gpt-3.5-turbo", OCTOBER, efforts="", longest=4_096),
    ModelFacts("gpt-3.5-turbo-0125", OCTOBER),
    ModelFacts("gpt-3.5-turbo-0301", date(2024, 9, 13)),
    ModelFacts("gpt-3.5-turbo-0613", date(2024, 9, 13)),
    ModelFacts("gpt-3.5-turbo-1106", date(2026, 9, 28)),
    ModelFacts("gpt-3.5-turbo-16k", date(2024, 9, 13)),
    ModelFacts("gpt-3.5-turbo-16k-0613", date(2024, 9, 13)),
    ModelFacts("gpt-4", OCTOBER, efforts="", longest=8_192),
    ModelFacts("gpt-4-0125-preview", date(2026, 3, 26), longest=4_096),
    ModelFacts("gpt-4-0314", date(2026, 3, 26)),
    ModelFacts("gpt-4-0613", OCTOBER),
    ModelFacts("gpt-4-1106-preview", OCTOBER, longest=4_096),
    ModelFacts("gpt-4-32k", date(2025, 6, 6), longest=32_768),
    ModelFacts("gpt-4-32k-0314", date(2025, 6, 6)),
    ModelFacts("gpt-4-32k-0613", date(2025, 6, 6)),
    ModelFacts("gpt-4-turbo", OCTOBER, longest=4_096),
    ModelFacts("gpt-4-turbo-preview", date(2026, 3, 26)),
    ModelFacts("gpt-4-vision-preview", date(2024, 12, 6), longest=4_096),
    ModelFacts("gpt-4.1", JANUARY, efforts="", longest=32_768),
    ModelFacts("gpt-4.1-mini", JANUARY),
    ModelFacts("gpt-4.1-nano", OCTOBER),
    ModelFacts("gpt-4o", JANUARY, efforts="", longest=16_384),
    ModelFacts("gpt-4o-2024-05-13", OCTOBER, longest=4_096),
    ModelFacts("gpt-4o-mini", JANUARY),
    ModelFacts("gpt-4o-audio-preview", date(2026, 5, 7), only="chat"),
    ModelFacts("gpt-4o-audio-preview-2024-10-01", date(2025, 10, 10)),
    ModelFacts("gpt-4o-mini-audio-preview", date(2026, 5, 7), only="chat"),
    ModelFacts("gpt-4o-search-preview", date(2026, 7, 23), only="chat", longest=16_384),
    ModelFacts("gpt-4o-mini-search-preview", date(2026, 7, 23), only="chat", longest=16_384),
    ModelFacts("chatgpt-4o-latest", date(2026, 2, 17)),
    ModelFacts("codex-mini-latest", date(2026, 2, 12)),
    ModelFacts("computer-use-preview", only="responses"),
    ModelFacts("gpt-audio", only="chat"),
    ModelFacts("gpt-audio-mini", date(2027, 1, 20)),
    ModelFacts("o1", OCTOBER, _LOW_TO_HIGH, steers=False, longest=100_000),
    ModelFacts("o1-mini", date(2025, 10, 27), longest=65_536),
    ModelFacts("o1-preview", date(2025, 7, 28), longest=32_768),
    ModelFacts("o1-pro", only="responses"),
    ModelFacts("o3", DECEMBER, _LOW_TO_HIGH, steers=False, longest=100_000),
    ModelFacts("o3-mini", OCTOBER),
    ModelFacts("o3-pro", only="responses"),
    ModelFacts("o3-deep-research", only="responses"),
    ModelFacts("o4-mini", OCTOBER, _LOW_TO_HIGH, steers=False, longest=100_000),
    ModelFacts("o4-mini-deep-research", only="responses"),
    ModelFacts("gpt-5", DECEMBER, "minimal low medium high", steers=False, longest=128_000),
    ModelFacts("gpt-5-mini", DECEMBER),
    ModelFacts("gpt-5-nano", DECEMBER),
    ModelFacts("gpt-5-pro", efforts="high", only="responses", longest=272_000),
    ModelFacts("gpt-5-codex", efforts=_LOW_TO_HIGH, only="responses"),
    ModelFacts("gpt-5-chat-latest", date(2026, 7, 23), longest=16_384),
    ModelFacts("gpt-5-search-api", only="chat", longest=128_000),
    ModelFacts("gpt-5.1", date(2027, 4, 1), "none low medium high", rests=True, longest=128_000),
    ModelFacts("gpt-5.1-chat-latest", date(2026, 7, 23), longest=16_384),
    ModelFacts("gpt-5.1-codex", date(2026, 7, 23), _LOW_TO_HIGH, only="responses"),
    ModelFacts("gpt-5.1-codex-max", efforts="low medium high xhigh"),
    ModelFacts("gpt-5.2", efforts=_TO_XHIGH, rests=True, longest=128_000),
    ModelFacts("gpt-5.2-chat-latest", date(2026, 8, 10), longest=16_384),
    ModelFacts("gpt-5.2-codex", efforts="low medium high xhigh", only="responses"),
    ModelFacts("gpt-5.2-pro", efforts="medium high xhigh", only="responses"),
    ModelFacts("gpt-5.3", longest=128_000),
    ModelFacts("gpt-5.3-chat-latest", date(2026, 8, 10), longest=16_384),
    ModelFacts("gpt-5.4", efforts=_TO_XHIGH, rests=True, longest=128_000),
    ModelFacts("gpt-5.4-nano", date(2027, 4, 1)),
    ModelFacts("gpt-5.4-pro", only="responses"),
    ModelFacts("gpt-5.5", longest=128_000),
    ModelFacts("gpt-5.5-pro", only="responses"),
    ModelFacts("gpt-5.6", efforts="none low medium high xhigh max", longest=128_000),
    ModelFacts("gpt-6", efforts="low medium high xhigh max", longest=128_000),
    ModelFacts("gpt-6-luna", efforts="none low medium high xhigh max"),
    ModelFacts("gpt-6-sol", efforts="none low medium high xhigh max"),
    ModelFacts("gpt-6.1", efforts="low medium high xhigh max", longest=128_000),
    ModelFacts("gpt-6.2", longest=128_000),
    ModelFacts("gpt-6.2-astra", efforts="low medium high xhigh max"),
)
"""Models that chat, in the order of their names' families."""

SPEECH: tuple[SpeechRow, ...] = (
    SpeechRow("whisper-1", FEBRUARY, "transcribe translate times words prompt"),
    SpeechRow("gpt-transcribe", None, "transcribe prompt languages keywords streams"),
    SpeechRow("gpt-4o-transcribe-diarize", FEBRUARY, "transcribe speakers"),
    SpeechRow("gpt-4o-mini-transcribe", FEBRUARY, "transcribe prompt logprobs streams"),
    SpeechRow("gpt-4o-transcribe", FEBRUARY, "transcribe prompt logprobs streams"),
)
"""Models that turn speech into text, those first that are named first where another cannot do what is asked."""
