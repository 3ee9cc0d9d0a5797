"""Speech, the two verbs: `transcribe` writes down what is said, `translate` writes it in English.

In: audio in any common form. Out: a `Transcript`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chatkit.api import speech_models
from chatkit.api.speech_models import Task
from chatkit.client import connect
from chatkit.client.keys import veiled_all
from chatkit.client.reply import Progress
from chatkit.signs import printable
from chatkit.speech import job
from chatkit.speech.transcript import Transcript

if TYPE_CHECKING:
    import openai


def transcribe(
    audio: Any,
    *,
    model: str | None = None,
    client: "openai.OpenAI | openai.AsyncOpenAI | None" = None,
    language: str | None = None,
    prompt: str | None = None,
    temperature: float | None = None,
    words: bool = False,
    rate: int | None = None,
    name: str | None = None,
    track: int | None = None,
    progress: bool | Callable[[Progress], object] = True,
    **parameters: Any,
) -> Transcript:
    """What is said in the audio, in the language in which it is said.

    `audio` is a path, bytes, a file opened in binary mode, or an array of samples with its `rate` (floats
    from -1 to 1, or integers; one channel, or (samples, channels)). What it really is, its content tells,
    not its name. Files too big or too long for one request are cut at silences, sent in parts and
    stitched; a part that fails leaves a gap that `missing` lists.

    `language` is a code such as "en" (None: the model finds it out), `prompt` guides the style and the
    spelling, `words=True` asks for the times of words. Other parameters (`keywords`, `languages`, …) go
    to the API as they are, if the model takes them. Of a file with several sound tracks the first in which
    something is heard is sent, and a note says so; `track` names another, counted from 1. `client` says
    where to send; without it the rule of `connect()` decides: with no key the local Whisper answers.
    `progress` is True for a bar, False for none, or is called with each `Progress`.

    Raises InputError for what holds no audio and for what the model cannot do, before anything is sent;
    EndpointError where nothing came back. An interrupt cancels.
    """
    parameters = veiled_all(parameters)
    given = {"language": language, "prompt": prompt, "temperature": temperature, "track": track, **parameters}
    return _do("transcribe", audio, progress, model=model, client=client, words=words, rate=rate, name=name, **given)


def translate(
    audio: Any,
    *,
    model: str | None = None,
    client: "openai.OpenAI | openai.AsyncOpenAI | None" = None,
    prompt: str | None = None,
    temperature: float | None = None,
    words: bool = False,
    rate: int | None = None,
    name: str | None = None,
    track: int | None = None,
    progress: bool | Callable[[Progress], object] = True,
    **parameters: Any,
) -> Transcript:
    """What is said in the audio, in English; the arguments are those of `transcribe`, without the language.

    Of the hosted models only whisper-1 translates, until 2027-02-26; the local Whisper goes on to.
    """
    parameters = veiled_all(parameters)
    given = {"prompt": prompt, "temperature": temperature, "track": track, **parameters}
    return _do("translate", audio, progress, model=model, client=client, words=words, rate=rate, name=name, **given)


def _do(task: Task, audio: Any, progress: bool | Callable[[Progress], object], **arguments: Any) -> Transcript:
    if arguments["client"] is None:
        named = arguments["model"] or speech_models.default(task)
        if said := connect.announcement(named):
            print(printable(said))  # a `.env` may be of a folder that somebody else made
    return job.wait(job.start(task, audio, **arguments), progress)
