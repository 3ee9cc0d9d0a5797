"""HTML as a notebook displays it: a dollar is a dollar there, and a backslash a backslash.

In: HTML in which all that others wrote is escaped already. Out: the same in an element in which a front end looks for
no mathematics; all HTML that chatkit displays goes through here. Values of the lower floors are shown by words of a
higher one, which registers them with `shown`.
"""

from functools import singledispatch
from html import escape

AS_IT_IS = "mathjax_ignore tex2jax_ignore"
"""Classes of HTML in which a notebook's own front end shall find no mathematics: MathJax 3 and 4, MathJax 2."""


def displayed(html: str, kind: str = "", *, tag: str = "div", label: str = "", style: str = "") -> str:
    """HTML for a front end, in an element of the class `kind`, with its style sheet before it.

    >>> displayed("It costs $5, not $6.", "ck-note")
    '<div class="ck-note mathjax_ignore tex2jax_ignore">It costs $5, not $6.</div>'
    """
    name = f' aria-label="{escape(label, quote=True)}"' if label else ""
    sheet = f"<style>{style}</style>" if style else ""
    return f'{sheet}<{tag} class="{f"{kind} {AS_IT_IS}".strip()}"{name}>{html}</{tag}>'


@singledispatch
def shown(value: object) -> str | None:  # noqa: ARG001  # what has no HTML of its own is shown by its repr
    """A value as HTML for a notebook; None where nobody has registered how."""
    return None
