"""Speech, the work of one job on the loop's thread: look through, send, listen, stitch.

In: audio, an `SpeechRequest`, where to send it. Out: `Progress`, `Wait` and `Delta` on the way, one `Reply` at the
end; the `Transcript` lies in `Work.transcript` by then. Pieces go out at the same time, as many as the
endpoint takes; one that fails leaves a gap and keeps the others.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence, Set
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from chatkit.api.speech_models import SpeechModel
from chatkit.audio.sniff import FLAC, clean_name
from chatkit.client import connect
from chatkit.client.address import Endpoint
from chatkit.client.reply import Answer, Delta, Progress, Reply, Wait
from chatkit.client.turn import RunItem
from chatkit.exceptions import ChatkitError
from chatkit.ledger.record import Outcome
from chatkit.speech import pieces, source
from chatkit.speech.pieces import Heard, Piece, join, with_marks
from chatkit.speech.request import SpeechRequest
from chatkit.speech.source import PREVIEW, AudioSource, look, notes_of
from chatkit.speech.timed import NO_SPEECH, Audio, Missing, clock
from chatkit.speech.transcript import Transcript

if TYPE_CHECKING:
    import openai


NAMED_ANEW = "each part names its speakers anew: A-1 and A-2 need not be one person"


def stitched(
    pieces: Sequence[Piece],
    ask: SpeechRequest,
    model: SpeechModel | None,
    duration: float | None,
    notes: Sequence[str],
    outcome: Outcome | None,
) -> Transcript:
    """The transcript; `outcome` is given where the job was cancelled."""
    heard = _speakers_apart(
        [piece.heard() for piece in pieces if piece.reply and (piece.done or piece.reply.text)], ask
    )
    text, segments, words = join(heard)
    missing = [gap for piece in pieces if (gap := piece.gap)]
    if outcome == "cancelled" and not pieces:
        missing = [Missing(0.0, duration or 0.0, "cancelled")]
    replies = [piece.reply for piece in pieces if piece.reply]
    return Transcript(
        text=with_marks(heard, missing, text),
        language=next((h.language for h in heard if h.language), "english" if ask.task == "translate" else None),
        duration=duration,
        segments=segments,
        words=words if ask.words else (),
        task=ask.task,
        model=_model(replies, ask, model),
        outcome=outcome or ("incomplete" if missing else "complete"),
        missing=tuple(missing),
        notes=(*notes, *_notes(pieces, heard, ask, model, missing)),
        records=tuple(record for reply in replies for record in reply.records),
    )


def _model(replies: Sequence[Reply], ask: SpeechRequest, model: SpeechModel | None) -> str | None:
    """The model that says it answered, else the one that was asked; None where none was."""
    answered = next((reply.model for reply in replies if reply.model), None)
    return answered or ask.model or (model.name if model else None) if replies else None


def _speakers_apart(heard: list[Heard], ask: SpeechRequest) -> list[Heard]:
    """Each request names its speakers anew: where several do, the number of the part stands behind the name.

    Those whose voice was sent along have the same name in all.
    """
    known = set(ask.parameters.get("known_speaker_names") or ())
    if sum(any(segment.speaker not in {None, *known} for segment in part.segments) for part in heard) < 2:
        return heard
    return [_numbered(part, number, known) for number, part in enumerate(heard, 1)]


def _numbered(part: Heard, number: int, known: Set[str]) -> Heard:
    segments = tuple(
        replace(segment, speaker=f"{segment.speaker}-{number}") if segment.speaker not in {None, *known} else segment
        for segment in part.segments
    )
    return replace(
        part, segments=segments, notes=(*part.notes, NAMED_ANEW) if segments != part.segments else part.notes
    )


def _notes(
    pieces: Sequence[Piece],
    heard: Sequence[Heard],
    ask: SpeechRequest,
    model: SpeechModel | None,
    missing: Sequence[Missing],
) -> list[str]:
    said, timed = any(part.text for part in heard), any(part.segments for part in heard)
    notes = list(ask.notes)
    if said and not timed and model:
        why = "no times came back" if model.times else f"{model.name} gives text only"
        notes.append(f"{why}: there are no segments, and no subtitles")
    if said and ask.words and not any(part.words for part in heard):
        notes.append("the times of words were asked for, and none came back")
    told = list(dict.fromkeys(note for part in heard for note in part.notes))
    if not said and not missing and not told:
        notes.append(NO_SPEECH)
    silent = [piece for piece in pieces if piece.silent]
    if silent and len(silent) < len(pieces):
        seconds = sum(piece.before - piece.after for piece in silent)
        notes.append(f"{clock(seconds)} of silence were not sent")
    notes += told
    notes += list(dict.fromkeys(note for piece in pieces if piece.reply for note in piece.reply.notes))
    return [note for note in notes if note != "the answer has no text"]


T = TypeVar("T")

AT_ONCE = 4
"""Pieces that a hosted model hears at the same time; the local one hears one."""
STEP = 512 * 1024
"""Bytes sent between two words of progress."""
EMBEDDED = 1024 * 1024
"""Bytes of a file that goes into a notebook as it is, to be played beside its text."""
PLAYED = 360.0
"""Seconds of audio of which a small copy is made for that, of about a megabyte; what is longer is not played."""


@dataclass(frozen=True)
class Limits:
    """How a file is cut: `whole` seconds go out in one request, more in pieces of at most `piece` seconds; silences
    are looked for within `search` seconds of an even cut; `upload` is bytes of one file.

    600 s as FLAC of 16,000 samples a second are at most 19.2 MB, whatever is in them; 24 MiB are the API's
    limit less what the form around the file may take.
    """

    whole: float = 1400.0
    piece: float = 600.0
    search: float = 60.0
    upload: int = 24 * 1024 * 1024


class Work:
    """One job; `stream` is run once."""

    def __init__(
        self,
        audio: Any,
        ask: SpeechRequest,
        client: "openai.OpenAI | openai.AsyncOpenAI | None",
        rate: int | None,
        name: str | None,
        limits: Limits,
        track: int | None = None,
    ) -> None:
        self.transcript: Transcript | None = None
        self._audio, self._ask, self._rate, self._name, self._limits, self._track = (
            audio,
            ask,
            rate,
            name,
            limits,
            track,
        )
        self._endpoint: Endpoint | None = connect.endpoint_of(client) if client is not None else None
        self._model = self._ask.model_at(self._endpoint) if self._endpoint else None
        self._pieces: list[Piece] = []
        self._quiet: list[tuple[float, float]] = []
        self._sound: Audio | None = None
        self._duration: float | None = None
        self._read = 0.0
        self._told = 0
        self._front = 0
        self._notes: list[str] = []
        self._items: asyncio.Queue[RunItem | None] = asyncio.Queue()

    async def stream(self) -> AsyncIterator[RunItem]:
        """Do the work; a cancelled job keeps what has come."""
        cancelled = None
        with ExitStack() as stack:
            try:
                async for item in self._all(stack):
                    yield item
            except asyncio.CancelledError as cancel:
                cancelled = cancel
            except ChatkitError as error:
                yield Reply((), "error", error=error)
                return
        yield self._reply("cancelled" if cancelled else None)
        if cancelled:
            raise cancelled

    async def _all(self, stack: ExitStack) -> AsyncIterator[RunItem]:
        opened = source.opened(self._audio, self._rate, self._name)
        given = await _to_its_end(asyncio.to_thread(stack.enter_context, opened))
        if self._endpoint is None or self._endpoint.local:
            async for found in connect.find(self._endpoint):
                if isinstance(found, Wait):
                    yield found
                else:
                    self._endpoint = found
        assert self._endpoint is not None
        self._model = model = self._ask.model_at(self._endpoint)
        client = await asyncio.to_thread(connect.shared_client, self._endpoint)
        hearing = asyncio.create_task(self._hear(given, model, client))
        hearing.add_done_callback(lambda _: self._items.put_nowait(None))
        try:
            while (item := await self._items.get()) is not None:
                yield item
            await hearing
        finally:
            if not hearing.done():
                hearing.cancel()
                await asyncio.wait([hearing])

    async def _hear(self, given: AudioSource, model: SpeechModel, client: "openai.AsyncOpenAI") -> None:
        """Look the file through, and send each piece as soon as it is there."""
        gate = asyncio.Semaphore(1 if model.local else AT_ONCE)
        sending: list[asyncio.Task[None]] = []
        self._progress("reading")
        try:
            async with aclosing(look(given, **self._plan(given, model))) as words:
                async for said in words:
                    self._take(said, given)
                    for piece in self._pieces[len(sending) :]:
                        if piece.path is None:
                            break
                        sending.append(asyncio.create_task(self._send(piece, model, client, gate)))
            await asyncio.gather(*sending)
        finally:
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    def _plan(self, given: AudioSource, model: SpeechModel) -> dict[str, Any]:
        limits = self._limits
        too_big = given.size > limits.upload
        return {
            "longest": limits.piece if too_big else min(limits.whole, model.longest or limits.whole),
            "piece": limits.piece,
            "convert": too_big or given.kind.ending is None,
            "search": limits.search,
            "preview": PLAYED,
            "playable": _playable(given),
            "track": self._track,
        }

    def _take(self, said: dict[str, Any], given: AudioSource) -> None:
        """Hear one word of the child's."""
        if "read" in said:
            self._read = said["read"]
        elif "seconds" in said:
            self._duration = said["seconds"]
            self._notes += notes_of(said, given.kind)
            if _playable(given) and not said["convert"]:
                self._sound = Audio(given.path.read_bytes(), given.kind.mime.replace("video/", "audio/"))
        elif "quiet" in said:
            self._quiet = [(start, end) for start, end in said["quiet"]]
        elif "parts" in said:
            times = said["parts"] or [[0.0, self._duration, 0.0, self._duration]]
            self._pieces = [Piece(*four) for four in times]
            if not said["parts"] and given.kind.ending:
                self._give(0, given.path, clean_name(given.name, given.kind.ending), given.kind.mime, False)
        elif "preview" in said:
            self._sound = Audio((given.folder / PREVIEW).read_bytes(), "audio/mpeg")
        elif "part" in said:
            number, stem = said["part"], clean_name(given.name, "flac").removesuffix(".flac")
            name = f"{stem}.flac" if len(self._pieces) == 1 else f"{stem}-{number + 1}.flac"
            self._give(number, given.folder / f"part-{number}.flac", name, FLAC.mime, said["silent"])
        self._progress("sending" if any(piece.path for piece in self._pieces) else "reading")

    def _give(self, number: int, path: Any, name: str, mime: str, silent: bool) -> None:
        piece = self._pieces[number]
        piece.path, piece.name, piece.mime, piece.silent = path, name, mime, silent

    async def _send(
        self, piece: Piece, model: SpeechModel, client: "openai.AsyncOpenAI", gate: asyncio.Semaphore
    ) -> None:
        if not piece.silent:
            overlaps = any(p.start < p.after or p.end > p.before for p in self._pieces)
            form = self._ask.fields(model, overlap=overlaps)
            async with gate:
                await piece.ask(client, self._ask.task, model, form, self._teller(piece))
        self._flow()
        self._progress("listening")

    def _teller(self, piece: Piece) -> Any:
        def tell(item: Delta | Wait | None) -> None:
            if isinstance(item, Wait):
                self._items.put_nowait(item)
            elif isinstance(item, Delta):
                piece.untold += item.text
                self._flow()
            elif sum(p.sent for p in self._pieces) // STEP != self._told or piece.sent >= piece.size:
                self._progress("sending")

        return tell

    def _flow(self) -> None:
        """Let the text on in its order: of the piece in front as it comes, of the others when it is their turn."""
        for front in self._pieces[self._front :]:
            if front.untold:
                self._items.put_nowait(Delta(front.untold))
                front.untold = ""
            if not front.reply and not front.silent:
                return
            self._front += 1
            if front.reply and front.reply.text and self._front < len(self._pieces):
                self._items.put_nowait(Delta(" "))

    def _progress(self, phase: Literal["reading", "sending", "listening"]) -> None:
        done = [piece for piece in self._pieces if piece.done]
        self._told = sum(piece.sent for piece in self._pieces) // STEP
        self._items.put_nowait(
            Progress(
                phase,
                sent=sum(piece.sent for piece in self._pieces),
                size=sum(piece.size for piece in self._pieces),
                parts_done=len(done),
                parts=len(self._pieces),
                seconds=self._read if phase == "reading" else sum(piece.before - piece.after for piece in done),
                duration=self._duration,
            )
        )

    def _reply(self, outcome: Outcome | None) -> Reply:
        """The end: a transcript of what came back, or the error where nothing did."""
        replies = [piece.reply for piece in self._pieces if piece.reply]
        records = tuple(record for reply in replies for record in reply.records)
        failed = [reply for reply in replies if reply.outcome == "error"]
        if outcome is None and failed and len(failed) == len([p for p in self._pieces if not p.silent]):
            return Reply((), "error", records=records, error=failed[0].error)
        said = stitched(self._pieces, self._ask, self._model, self._duration, self._notes, outcome)
        segments = pieces.at_the_sound(said.segments, self._quiet)
        words = pieces.at_the_sound(said.words, self._quiet)
        self.transcript = said = replace(said, segments=segments, words=words, audio=self._sound)
        return Reply((Answer(text=said.text),), said.outcome, said.model, records=records, notes=said.notes)


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """What a thread does to the end, though nobody waits for it any more: a folder is only removed once it is there."""
    doing = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise


def _playable(given: AudioSource) -> bool:
    return given.kind.ending is not None and given.size <= EMBEDDED
