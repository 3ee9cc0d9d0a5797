"""Speech, the end of a job: all pieces become one `Transcript`, with what is missing and what is to be known.

In: pieces with their replies. Out: the transcript.
"""

from collections.abc import Sequence

from chatkit.api.speech_models import SpeechModel
from chatkit.endpoint.reply import Reply
from chatkit.ledger.record import Outcome
from chatkit.speech import joining
from chatkit.speech.asking import Ask
from chatkit.speech.piece import Piece
from chatkit.speech.timed import NO_SPEECH, Missing, clock
from chatkit.speech.transcript import Transcript


def stitched(
    pieces: Sequence[Piece],
    ask: Ask,
    model: SpeechModel | None,
    duration: float | None,
    notes: Sequence[str],
    outcome: Outcome | None,
) -> Transcript:
    """The transcript; `outcome` is given where the job was cancelled."""
    heard = [piece.heard() for piece in pieces if piece.reply and (piece.done or piece.reply.text)]
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
        notes=(*notes, *_notes(pieces, model, text, segments != (), missing)),
        records=tuple(record for reply in replies for record in reply.records),
    )


def _model(replies: Sequence[Reply], ask: Ask, model: SpeechModel | None) -> str | None:
    """The model that says it answered, else the one that was asked; None where none was."""
    answered = next((reply.model for reply in replies if reply.model), None)
    return answered or ask.model or (model.name if model else None) if replies else None


def _notes(
    pieces: Sequence[Piece], model: SpeechModel | None, text: str, timed: bool, missing: Sequence[Missing]
) -> list[str]:
    notes = []
    if text and not timed and model:
        why = "no times came back" if model.times else f"{model.name} gives text only"
        notes.append(f"{why}: there are no segments, and no subtitles")
    if not text and not missing:
        notes.append(NO_SPEECH)
    silent = [piece for piece in pieces if piece.silent]
    if silent and len(silent) < len(pieces):
        seconds = sum(piece.before - piece.after for piece in silent)
        notes.append(f"{clock(seconds)} of silence were not sent")
    notes += list(dict.fromkeys(note for piece in pieces if piece.reply for note in piece.reply.notes))
    return [note for note in notes if note != "the answer has no text"]
