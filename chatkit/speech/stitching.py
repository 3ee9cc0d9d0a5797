"""Speech, the end of a job: all pieces become one `Transcript`, with what is missing and what is to be known.

In: pieces with their replies. Out: the transcript.
"""

from collections.abc import Sequence, Set
from dataclasses import replace

from chatkit.api.speech_models import SpeechModel
from chatkit.endpoint.reply import Reply
from chatkit.ledger.record import Outcome
from chatkit.speech import joining
from chatkit.speech.asking import SpeechRequest
from chatkit.speech.joining import Heard
from chatkit.speech.piece import Piece
from chatkit.speech.timed import NO_SPEECH, Missing, clock
from chatkit.speech.transcript import Transcript

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
    text, segments, words = joining.join(heard)
    missing = [gap for piece in pieces if (gap := piece.gap)]
    if outcome == "cancelled" and not pieces:
        missing = [Missing(0.0, duration or 0.0, "cancelled")]
    replies = [piece.reply for piece in pieces if piece.reply]
    return Transcript(
        text=joining.with_marks(heard, missing, text),
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
