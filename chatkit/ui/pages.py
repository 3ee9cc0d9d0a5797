"""Faces: the page's side of a widget, one plain ES module, joined from files without imports.

In: the names of parts in `page/` and of the widget. Out: the module's text, the style's text. No bundler:
what stands in the files is what the browser gets.
"""

from pathlib import Path

HERE = Path(__file__).parent


def module(widget: str, *parts: str) -> str:
    """The widget's ES module: the parts that it is made of, then `widget`.js.

    >>> module("chat_panel", "dom").count("export default")
    1
    """
    paths = [*(HERE / "page" / f"{part}.js" for part in parts), HERE / f"{widget}.js"]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def style(widget: str) -> str:
    """The widget's style: what all widgets share, then `widget`.css."""
    return "\n".join(
        path.read_text(encoding="utf-8") for path in (HERE / "page" / "common.css", HERE / f"{widget}.css")
    )
