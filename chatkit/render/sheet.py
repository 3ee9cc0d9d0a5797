"""Rendering, a sheet: facts by name, and sources to unfold, as static HTML.

In: plain names, values and sources that nobody here wrote. Out: HTML in which nothing of them acts, with its
style beside it.
"""

from collections.abc import Iterable
from html import escape

from chatkit.display import displayed
from chatkit.render.markdown import code_html
from chatkit.render.plain_text import marked, tame
from chatkit.render.static import STYLE


def sheet_html(title: str, facts: Iterable[tuple[str, str]], sources: Iterable[tuple[str, str, str]]) -> str:
    """A sheet: `facts` are names and values, `sources` names, languages and texts.

    >>> sheet_html("POST", [("status", "<200>")], []).partition("</style>")[2]
    '<section class="ck-sheet ck-text mathjax_ignore tex2jax_ignore"><header>POST</header><dl><dt>status</dt><dd>&lt;200&gt;</dd></dl></section>'
    """
    rows = "".join(f"<dt>{_plain(name)}</dt><dd>{_plain(value)}</dd>" for name, value in facts)
    folds = "".join(
        f"<details><summary>{_plain(name)}</summary>{code_html(tame(source), language)}</details>"
        for name, language, source in sources
    )
    body = f"<header>{_plain(title)}</header><dl>{rows}</dl>{folds}"
    return displayed(body, "ck-sheet ck-text", tag="section", style=STYLE)


def _plain(text: str) -> str:
    return marked(escape(tame(text)), hidden=True)
