"""Annexe: the options of the local server and of its weights, for `chatkit serve` and `python -m chatkit.local`.

In: a parser. Out: the same parser, which knows them. Nothing of the engines is imported here.
"""

import argparse
import os

from chatkit.api.hosts import LOCAL_PREFIX
from chatkit.api.parameters import LOCAL_LONGEST
from chatkit.local import shipped

PORT = 8321
KEY = "CHATKIT_LOCAL_KEY"
QUEUE = 256
"""Answers that may wait: a class that asks at the same moment, and asks again."""
ABOUT_SERVE = (
    "run the local models as an OpenAI-compatible server. A small real language model and a Whisper on this machine, "
    "behind the OpenAI API. "
    f"{shipped.DEFAULT.alias} has a window of {shipped.DEFAULT.window} tokens, and each request its own; an answer for "
    f"which no limit is asked ends after {LOCAL_LONGEST}. {shipped.WHISPER} hears files of up to 25 MB and four hours. "
    f"Each start makes a new key; {KEY} in the environment names one that stays the same ({LOCAL_PREFIX}…)."
)


def add_models(parser: argparse.ArgumentParser) -> None:
    """Which models."""
    parser.add_argument(
        "--model", help=f"a GGUF file, or org/repo:file.gguf on the hub; default: {shipped.DEFAULT.alias}"
    )
    parser.add_argument(
        "--whisper",
        default=os.environ.get("CHATKIT_WHISPER") or None,
        help="a folder with a Whisper model in CTranslate2's form, or org/repo on the hub; default: CHATKIT_WHISPER, "
        f"else {shipped.WHISPER}",
    )


def add_serve(parser: argparse.ArgumentParser) -> None:
    """How they are served, and to whom."""
    add_models(parser)
    parser.add_argument(
        "--speech-idle", type=float, default=10.0, metavar="MINUTES",
        help="after which a Whisper that nobody asks gives its memory back; default: 10",
    )  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine only")
    parser.add_argument(
        "--i-know", action="store_true", help="with --host: others may reach this server, if they have the key"
    )
    parser.add_argument("--port", type=int, help=f"0 finds a free one; default: {PORT}, or a free one if it is taken")
    parser.add_argument("--window", type=int, help="tokens of one conversation; default: the model's own, at most 8192")
    parser.add_argument("--slots", type=int, help="answers written at once, each with a window of its own; default: 4")
    parser.add_argument("--queue", type=int, default=QUEUE, help=f"answers that may wait; default: {QUEUE}")
    parser.add_argument("--threads", type=int, help="default: one for each processor, at most 8")
    parser.add_argument("--verbose", action="store_true", help="show the engine's log on stderr (it can hold prompts)")
    parser.add_argument("--with-parent", action="store_true", help=argparse.SUPPRESS)
