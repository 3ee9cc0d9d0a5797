"""Rendering: a table for a person, as aligned text and as HTML in the notebook's own colours.

In: words that may come from anywhere. Out: text without control characters, HTML with everything escaped.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape

from chatkit.display import displayed
from chatkit.render.text import marked, tame

WIDTH = 48
STYLE = """
.ck-usage { color: var(--jp-ui-font-color1, inherit); font-variant-numeric: tabular-nums; max-width: 100%; overflow-x: auto; }
.ck-usage table { border-collapse: collapse; margin: 0.3em 0; background: none; }
.ck-usage caption { text-align: start; padding: 0.2em 0.7em 0.5em 0; color: inherit; font-weight: 600; caption-side: top; }
.ck-usage th, .ck-usage td { padding: 0.25em 0.7em; border: 0; border-bottom: 1px solid #8884; text-align: end; vertical-align: top; background: none; }
.ck-usage tr { background: none; }
.ck-usage th { font-weight: 600; }
.ck-usage tbody th { font-weight: 400; max-width: 30em; overflow-wrap: anywhere; }
.ck-usage th:first-child { padding-inline-start: 0; }
.ck-usage .ck-words { text-align: start; }
.ck-usage tfoot th, .ck-usage tfoot td { border-bottom: 0; font-weight: 600; }
.ck-usage p { margin: 0.3em 0; font-size: 0.85em; opacity: 0.8; }
"""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of words under a title; the first column names the row. The places of `words` are columns of text, which begins
    at the line's beginning, the others are numbers, which end below each other.

    >>> print(Table("Two", ("name", "tag", "calls"), [("a", "x", "12"), ("bb", "yy", "1")], words=(0, 1)).text())
    Two
    <BLANKLINE>
    name  tag  calls
    a     x       12
    bb    yy       1
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    foot: Sequence[str] = ()
    notes: Sequence[str] = ()
    words: Collection[int] = (0,)

    def text(self) -> str:
        """The table as lines of text."""
        body = [[_line(cell) for cell in row] for row in (self.head, *self.rows, *([self.foot] if self.foot else []))]
        widths = [max(len(row[column]) for row in body) for column in range(len(self.head))]
        shown = [
            "  ".join(
                cell.ljust(w) if column in self.words else cell.rjust(w)
                for column, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in body
        ]
        table = ["", *(line.rstrip() for line in shown)] if self.rows else []
        return "\n".join([tame(self.title), *table, *(["", *self.notes] if self.notes else [])])

    def html(self) -> str:
        """The table as HTML."""
        head = "".join(f'<th scope="col"{self._kind(place)}>{_cell(name)}</th>' for place, name in enumerate(self.head))
        body = "".join(f"<tr>{self._row(row)}</tr>" for row in self.rows)
        foot = f"<tfoot><tr>{self._row(self.foot)}</tr></tfoot>" if self.foot else ""
        notes = "".join(f"<p>{_cell(note)}</p>" for note in self.notes)
        if not self.rows:
            return displayed(f"<p>{_cell(self.title)}</p>{notes}", "ck-usage", style=STYLE)
        rows = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>{foot}"
        table = f"<table><caption>{_cell(self.title)}</caption>{rows}</table>"
        return displayed(f"{table}{notes}", "ck-usage", style=STYLE)

    def _row(self, row: Sequence[str]) -> str:
        name, *others = row
        cells = (f"<td{self._kind(place)}>{_cell(words)}</td>" for place, words in enumerate(others, 1))
        return f'<th scope="row"{self._kind(0)}>{_cell(name)}</th>' + "".join(cells)

    def _kind(self, place: int) -> str:
        return ' class="ck-words" dir="auto"' if place in self.words else ""


def _cell(words: str) -> str:
    return marked(escape(tame(words[:1000])), hidden=True)


def _line(words: str) -> str:
    """The words on one line, cut where they are long.

    >>> _line("a" * 60)[-3:], _line("two\\nlines")
    ('aa…', 'two lines')
    """
    line = " ".join(tame(words[:1000]).split())
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
