"""`%load_ext chatkit`. `%usage` asks what was used, `%%chat` sends a cell's text to a model.

In: a line and a cell. Out: reports, figures, a meter; an answer. The verbs behind them are public: what a magic
does, a line of Python does too.
"""

import re
from collections.abc import Callable
from typing import get_args

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from chatkit.chats.chat import Chat
from chatkit.client.reply import Reply
from chatkit.exceptions import InputError
from chatkit.ledger.record import current_session
from chatkit.reports.figures import PLOTS
from chatkit.reports.report import rename_session, sessions, usage
from chatkit.reports.summary import By
from chatkit.signs import fit_to_print

HELP = f"""\
%usage                    what this session used and cost
%usage all, %usage today  all sessions; those of today
%usage by day             by {", ".join(get_args(By)[:-1])} or {get_args(By)[-1]}
%usage plot [kind]        a figure: {", ".join(PLOTS)}
%usage session NAME       call this session NAME
%usage sessions           all sessions
%usage meter              counters that follow the calls as they are made"""


@magics_class
class ChatkitMagics(Magics):
    """The magics of chatkit."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.chat = Chat()

    @line_magic("usage")  # type: ignore[arg-type]  # IPython says of its decorators that they take nothing
    def show_usage(self, line: str) -> object:
        """What was used: `%usage help` lists what can be asked."""
        word, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if word == "help":
            print(HELP)
            return None
        if word == "session" and rest:
            rename_session(rest)
            word, rest = "", ""
        if word == "meter" and not rest:
            from chatkit.ui.usage_meter import UsageMeter

            return UsageMeter()
        if word == "plot" and rest in ("", *PLOTS):
            return usage().plot(rest or None)  # type: ignore[arg-type]  # looked up just before
        if word == "by" and rest in get_args(By):
            everything = rest in ("session", "day", "user", "lesson", "exercise")
            return usage(None if everything else current_session()).summary(rest)  # type: ignore[arg-type]
        asked: dict[str, Callable[[], object]] = {
            "": usage,
            "all": lambda: usage(None),
            "today": lambda: usage(since="today"),
            "sessions": sessions,
        }
        if word in asked and not rest:
            return asked[word]()
        raise InputError(f"%usage does not know {line.strip()!r}.", "%usage help lists what can be asked.")

    @cell_magic("chat")  # type: ignore[arg-type]
    def send_cell(self, line: str, cell: str) -> "ShownReply":
        """Send the cell's text to a model; `%%chat NAME` goes on with the Chat of that name, or begins one."""
        chat = self._chat(line.strip())
        reply = chat.send(cell.strip())
        return ShownReply(reply)

    def _chat(self, name: str) -> Chat:
        if not name:
            return self.chat
        if not re.fullmatch(r"[^\W\d]\w*", name):
            raise InputError(f"{name!r} is no name for a chat.", "Try: %%chat talk")
        assert self.shell is not None
        found = self.shell.user_ns.get(name)
        if found is None:
            found = self.shell.user_ns[name] = Chat()
        if not isinstance(found, Chat):
            raise InputError(f"{name} is no Chat but {type(found).__name__}.", "Choose another name.")
        return found


class ShownReply:
    """An answer under its cell: the text, and what it took."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply

    @fit_to_print
    def __repr__(self) -> str:
        return self.reply.text

    def _repr_html_(self) -> str | None:
        return self.reply._repr_html_()


def load(shell: InteractiveShell) -> None:
    """Register the magics."""
    shell.register_magics(ChatkitMagics)
