"""What chatkit says of itself can be printed into any pipe."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stdout

import pytest

import chatkit
from chatkit.__main__ import main
from chatkit.signs import PLAIN, fit_to_print, printable

ENCODINGS = ("cp1252", "ascii", "cp932", "latin-1", "utf-8")


class Pipe(io.TextIOWrapper):
    """A standard output of that encoding, which raises as a pipe does."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict")

    def said(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture(params=ENCODINGS)
def pipe(request):
    return Pipe(request.param)


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", "≈ 1 · Zoë … 日 \\ud83d"),
        ("cp1252", "~ 1 · Zoë … \\u65e5 \\ud83d"),
        ("ascii", "~ 1 - Zo\\xeb ... \\u65e5 \\ud83d"),
        ("cp932", "≒ 1 - Zo\\xeb … 日 \\ud83d".replace("≒", "~")),
    ],
)
def test_only_what_the_output_lacks_is_written_otherwise(encoding, said, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Pipe(encoding))
    text = printable("≈ 1 · Zoë … 日 \ud83d")
    monkeypatch.undo()
    assert text == said


def test_no_output_at_all_is_no_fault(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert printable("≈") == "≈"
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert printable("≈") == "≈"


def test_the_plain_signs_are_ascii():
    assert all(plain.isascii() and not sign.isascii() for sign, plain in PLAIN.items())


def test_a_report_an_inspection_an_estimate_and_an_error_print(pipe):
    chat = chatkit.Chat("Antworte auf 日本語, ≈ kurz …", history=False)
    said = [
        chatkit.usage(None),
        chatkit.usage(None).summary("day"),
        chatkit.sessions(),
        chatkit.budget(),
        chatkit.estimate("Zoë → 日本語", model="gpt-4o-mini"),
        chat,
        chat.preview("…"),
        chat.conversation,
        chat.conversation.branch("Zoë’s 日"),
        chat.branches[0],
        chatkit.ChatkitError("It says: “日 …”", "≈"),
        chatkit.Transcript("日本語 – … 🎉" * 30),
        chatkit.own_prices(),
    ]
    with redirect_stdout(pipe):
        for one in said:
            print(repr(one) if isinstance(one, chatkit.Transcript) else one)  # its str is its text, word for word
    assert "~ " in pipe.said() or "≈ " in pipe.said()


def test_a_budgets_bar_prints(pipe):
    chatkit.budget("0.50", per="day")
    try:
        with redirect_stdout(pipe):
            print(chatkit.budget())
    finally:
        chatkit.budget().off()
    assert ("░" if pipe.encoding == "utf-8" else "...") in pipe.said()


def test_the_command_line_prints_any_name(pipe, tmp_path, capfd):
    leak = tmp_path / "日本語 ≈ Zoë.py"
    leak.write_text("OPENAI_API_KEY = 'sk-proj-abcdefghij0123456789'")  # pragma: allowlist secret
    with redirect_stdout(pipe):
        assert main(["check-keys", str(tmp_path)]) == 1
    assert "line 1 holds an API key" in pipe.said()
    assert pipe.errors == "strict"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp932"])
def test_a_script_in_a_pipe_prints(encoding, tmp_path):
    script = "import chatkit; print(chatkit.estimate('Hi', model='gpt-4o-mini')); print(chatkit.usage(None))"
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", script],
        env={**os.environ, "PYTHONIOENCODING": encoding, "CHATKIT_DB": str(tmp_path / "u.sqlite")},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.decode(encoding).startswith("~ ")


def test_what_is_wrapped_keeps_its_name():
    class Said:
        @fit_to_print
        def __repr__(self):
            """What it is."""
            return "≈"

    assert (repr(Said()), Said.__repr__.__doc__) == ("≈", "What it is.")
