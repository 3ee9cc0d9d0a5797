"""The command `chatkit`, also `python -m chatkit`: one parser, the commands of commands.py below it.

In: the command line. Out: what the command does, and the exit status: 0 done, 1 could not (or keys were found), 2 not
understood.
"""

import argparse
import sys
from difflib import get_close_matches
from typing import Any

from chatkit import commands
from chatkit.exceptions import ChatkitError
from chatkit.system.shell import any_character


class Parser(argparse.ArgumentParser):
    """argparse's parser, which also says what a word that it does not know may have been meant for."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        # Python 3.14 can do it (suggest_on_error)
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            near = get_close_matches(str(value), map(str, action.choices or ()), 1)
            if near:
                error.message += f"; maybe you meant {near[0]!r}"
            raise


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives back the exit status."""
    with any_character():
        try:
            return _run(sys.argv[1:] if arguments is None else arguments)
        except ChatkitError as error:
            print(f"chatkit: {error}", file=sys.stderr)
            return 1
        except SystemExit as ended:  # argparse has printed its help, or what it does not understand
            return int(ended.code or 0)


def _run(words: list[str]) -> int:
    parser = Parser(prog="chatkit", description="Talk to a language model from a Jupyter notebook.")
    commands.add(parser)
    if words in ([], ["help"]):
        parser.print_help()
        return 0
    options = parser.parse_args(words)
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
