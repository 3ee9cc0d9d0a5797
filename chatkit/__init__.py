"""Talk to a language model from a Jupyter notebook: chat panel, connection, usage on the books.

The roof of the house: it names what is public and loads each name when it is first used, so that
`import chatkit` itself imports nothing heavy.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from chatkit.chat import Chat as Chat
    from chatkit.conversation import Conversation as Conversation
    from chatkit.conversation import Message as Message
    from chatkit.endpoint.connect import connect as connect
    from chatkit.exceptions import BudgetError as BudgetError
    from chatkit.exceptions import ChatkitError as ChatkitError
    from chatkit.ledger.budget import Budget as Budget
    from chatkit.ledger.budget import budget as budget
    from chatkit.ledger.own_price import OwnPrice as OwnPrice
    from chatkit.ledger.price_list import own_prices as own_prices
    from chatkit.ledger.price_list import remove_price as remove_price
    from chatkit.ledger.price_list import set_price as set_price
    from chatkit.ledger.record import Usage as Usage
    from chatkit.ledger.record import UsageRecord as UsageRecord
    from chatkit.ledger.repricing import reprice as reprice
    from chatkit.ledger.session import current_session as current_session
    from chatkit.ledger.session import session as session
    from chatkit.ledger.store import UsageStore as UsageStore
    from chatkit.readings.classroom import ClassReport as ClassReport
    from chatkit.readings.forecast import estimate as estimate
    from chatkit.readings.questions import delete_session as delete_session
    from chatkit.readings.questions import rename_session as rename_session
    from chatkit.readings.questions import sessions as sessions
    from chatkit.readings.questions import tag_session as tag_session
    from chatkit.readings.questions import usage as usage
    from chatkit.readings.report import UsageReport as UsageReport
    from chatkit.recall import History as History
    from chatkit.recall import Kept as Kept
    from chatkit.recall import history as history
    from chatkit.speech.transcript import Transcript as Transcript
    from chatkit.speech.verbs import transcribe as transcribe
    from chatkit.speech.verbs import translate as translate
    from chatkit.ui.audio_uploader import AudioUploader as AudioUploader
    from chatkit.ui.chat_panel import ChatPanel as ChatPanel
    from chatkit.ui.usage_meter import UsageMeter as UsageMeter

__version__ = "0.1.0"

_HOMES = {
    "AudioUploader": "chatkit.ui.audio_uploader",
    "Budget": "chatkit.ledger.budget",
    "BudgetError": "chatkit.exceptions",
    "Chat": "chatkit.chat",
    "ChatPanel": "chatkit.ui.chat_panel",
    "ChatkitError": "chatkit.exceptions",
    "ClassReport": "chatkit.readings.classroom",
    "Conversation": "chatkit.conversation",
    "History": "chatkit.recall",
    "Kept": "chatkit.recall",
    "Message": "chatkit.conversation",
    "OwnPrice": "chatkit.ledger.own_price",
    "Transcript": "chatkit.speech.transcript",
    "Usage": "chatkit.ledger.record",
    "UsageMeter": "chatkit.ui.usage_meter",
    "UsageRecord": "chatkit.ledger.record",
    "UsageReport": "chatkit.readings.report",
    "UsageStore": "chatkit.ledger.store",
    "budget": "chatkit.ledger.budget",
    "connect": "chatkit.endpoint.connect",
    "current_session": "chatkit.ledger.session",
    "history": "chatkit.recall",
    "estimate": "chatkit.readings.forecast",
    "own_prices": "chatkit.ledger.price_list",
    "reprice": "chatkit.ledger.repricing",
    "remove_price": "chatkit.ledger.price_list",
    "session": "chatkit.ledger.session",
    "set_price": "chatkit.ledger.price_list",
    "sessions": "chatkit.readings.questions",
    "rename_session": "chatkit.readings.questions",
    "tag_session": "chatkit.readings.questions",
    "delete_session": "chatkit.readings.questions",
    "usage": "chatkit.readings.questions",
    "transcribe": "chatkit.speech.verbs",
    "translate": "chatkit.speech.verbs",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'chatkit' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_HOMES))


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """`%load_ext chatkit`: the magics `%usage` and `%%chat`."""
    from chatkit.magics import load

    load(shell)


def _check_for_the_namesake() -> None:
    """Warn if pip has laid OpenAI's package of the same import name into this folder."""
    folder = os.path.dirname(__file__)
    if os.path.exists(os.path.join(folder, "store.py")) or os.path.exists(os.path.join(folder, "server.py")):
        import warnings

        warnings.warn(
            "notebook-chatkit and OpenAI's openai-chatkit are both installed here; both are imported as `chatkit`, and "
            "pip has merged their files. Keep one: pip uninstall -y openai-chatkit notebook-chatkit, then install "
            "the one you want.",
            stacklevel=3,
        )


_check_for_the_namesake()
