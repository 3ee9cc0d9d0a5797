"""Random documents of what is hostile, by a seed: Markdown, HTML and formulas mixed as no list of payloads has them.

In: a seed and how many. Out: texts. Whatever of them gets through asks `trip.example` for something, sets
`window.owned`, or becomes a formula.
"""

from random import Random

from hostile_payloads import PAYLOADS

TRAP = "https://trip.example"
FORMULAS = (
    "$5", "$10 a month", "$x^2$", "$$", "$$y_1$$", "\\$", "\\\\(a\\\\)", "\\(b\\)", "\\\\[c\\\\]", "\\[d\\]", "\\begin{align}e\\end{align}",
    "\\begin{equation}", "\\end{equation}", "\\ref{f}", "\\eqref{g}", f"$\\href{{{TRAP}/h}}{{the bank}}$", "$\\require{html}$",
    f"$\\style{{background:url({TRAP}/i)}}{{j}}$", "$\\class{jp-Button}{k}$", "$\\unicode{60}$", "${l$", "$m}$", "@@0@@", "@@1@@",
    "$`n`$", "`$`", "$\n\no$", "\\\\", "\\", "a_b$c_d$", "\\def\\x{y}", "$\\bbox[background:red]{p}$", "\\label{q}", "\\tag{1}",
)  # fmt: skip
MARKS = (
    "```", "~~~", "````", "`", "``", "> ", "- ", "1. ", "    ", "\t", "| a | b |\n|-|-|\n| ", " |\n", "# ", "---", "===", "*", "**",
    "_", "~~", "[", "](", ")", "![", "<", ">", "&lt;", "&#36;", "&dollar;", "\n[1]: ", "[1]", "[^1]", "<!--", "-->", "\\n",
)  # fmt: skip
FENCES = (
    f'```"><img src={TRAP}/r>\ns\n```', "~~~<script>window.owned=1</script>\nt\n~~~", "```mermaid\ngraph TD; A-->B\n```",
    "```math\nu\n```", f'``` html "><iframe src={TRAP}/v>\nw', f"- ~~~ x'onload='{TRAP}\n  y\n  ~~~", "> ```latex\n> $z$\n> ```",
    f"```{{=html}}\n<img src={TRAP}/html>\n```", "```python\nprint(1)\n```",
)  # fmt: skip
SHOWN = (
    f"![pic]({TRAP}/1.png)", f"![pic][1]\n\n[1]: {TRAP}/2.png", f"<img src={TRAP}/3.png>", f"[the bank]({TRAP}/4)",
    f"[{TRAP}/5](https://a.example)", f"<{TRAP}/6>", "[x](javascript:window.owned=1)", f"[![i]({TRAP}/7)]({TRAP}/8)",
    f"<svg><image href={TRAP}/9 /></svg>", f"<style>@import '{TRAP}/10'</style>", f"<video poster={TRAP}/11></video>",
    f"<link rel=stylesheet href={TRAP}/12>", "[y](/lab?reset)", f"![](<{TRAP}/13 14>)", f"<a href={TRAP}/15 ping={TRAP}/16>x</a>",
)  # fmt: skip
WORDS = ("It costs", "the bank", "a", "and", "\n", "\n\n", " ", "  \n", "😀", "مرحبا", "x = 1")
PIECES = (FORMULAS, FORMULAS, MARKS, FENCES, SHOWN, WORDS, WORDS, tuple(PAYLOADS.values()))


def documents(seed: int, count: int, longest: int = 24) -> list[str]:
    """So many texts of up to `longest` pieces each; the same ones for the same seed."""
    random = Random(seed)
    return [_document(random, random.randint(1, longest)) for _ in range(count)]


def _document(random: Random, pieces: int) -> str:
    between = random.choice(("", " ", "\n", "\n\n"))
    return between.join(random.choice(random.choice(PIECES)) for _ in range(pieces))
