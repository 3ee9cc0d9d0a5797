"""Talk to a language model from a Jupyter notebook: chat panel, connection, usage on the books.

The roof of the house: it names what is public and loads each name when it is first used, so that
`import chatkit` itself imports nothing heavy.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from chatkit.api.answer import Answer as Answer
    from chatkit.api.answer import Delta as Delta
    from chatkit.api.speech_models import SpeechModel as SpeechModel
    from chatkit.api.speech_models import speech_models as speech_models
    from chatkit.branches import Branch as Branch
    from chatkit.branches import Variants as Variants
    from chatkit.chat import Chat as Chat
    from chatkit.conversation import Conversation as Conversation
    from chatkit.conversation import Message as Message
    from chatkit.endpoint.address import Endpoint as Endpoint
    from chatkit.endpoint.connect import connect as connect
    from chatkit.endpoint.reply import Progress as Progress
    from chatkit.endpoint.reply import Reply as Reply
    from chatkit.endpoint.reply import Wait as Wait
    from chatkit.endpoint.run import Run as Run
    from chatkit.exceptions import BudgetError as BudgetError
    from chatkit.exceptions import ChatkitError as ChatkitError
    from chatkit.exceptions import EndpointError as EndpointError
    from chatkit.exceptions import InputError as InputError
    from chatkit.exceptions import SetupError as SetupError
    from chatkit.exceptions import StoreError as StoreError
    from chatkit.inspection import Inspection as Inspection
    from chatkit.ledger.budget import Budget as Budget
    from chatkit.ledger.budget import budget as budget
    from chatkit.ledger.estimates import CostRange as CostRange
    from chatkit.ledger.estimates import Estimate as Estimate
    from chatkit.ledger.own_price import OwnPrice as OwnPrice
    from chatkit.ledger.price_list import own_prices as own_prices
    from chatkit.ledger.price_list import remove_price as remove_price
    from chatkit.ledger.price_list import set_price as set_price
    from chatkit.ledger.record import Usage as Usage
    from chatkit.ledger.record import UsageRecord as UsageRecord
    from chatkit.ledger.repricing import Repricing as Repricing
    from chatkit.ledger.repricing import reprice as reprice
    from chatkit.ledger.rules import Limit as Limit
    from chatkit.ledger.rules import Spending as Spending
    from chatkit.ledger.session import current_session as current_session
    from chatkit.ledger.session import session as session
    from chatkit.ledger.store import UsageStore as UsageStore
    from chatkit.ledger.tokens import Range as Range
    from chatkit.readings.classroom import ClassReport as ClassReport
    from chatkit.readings.forecast import Forecast as Forecast
    from chatkit.readings.forecast import estimate as estimate
    from chatkit.readings.questions import delete_session as delete_session
    from chatkit.readings.questions import rename_session as rename_session
    from chatkit.readings.questions import sessions as sessions
    from chatkit.readings.questions import tag_session as tag_session
    from chatkit.readings.questions import usage as usage
    from chatkit.readings.report import UsageReport as UsageReport
    from chatkit.readings.session_list import Session as Session
    from chatkit.readings.session_list import SessionList as SessionList
    from chatkit.readings.summary import Summary as Summary
    from chatkit.recall import History as History
    from chatkit.recall import Kept as Kept
    from chatkit.recall import history as history
    from chatkit.request import Preview as Preview
    from chatkit.speech.costs import estimate_transcription as estimate_transcription
    from chatkit.speech.timed import Audio as Audio
    from chatkit.speech.timed import Missing as Missing
    from chatkit.speech.timed import Segment as Segment
    from chatkit.speech.timed import Word as Word
    from chatkit.speech.transcript import Transcript as Transcript
    from chatkit.speech.verbs import transcribe as transcribe
    from chatkit.speech.verbs import translate as translate
    from chatkit.ui.audio_uploader import AudioUploader as AudioUploader
    from chatkit.ui.audio_uploader import Draftable as Draftable
    from chatkit.ui.chat_panel import ChatPanel as ChatPanel
    from chatkit.ui.inbox import AudioFile as AudioFile
    from chatkit.ui.usage_meter import UsageMeter as UsageMeter
    from chatkit.worddiff import Diff as Diff

__version__ = "0.1.0"

_NAMES = {
    "chatkit.api.speech_models": "SpeechModel speech_models",
    "chatkit.branches": "Branch Variants",
    "chatkit.chat": "Chat",
    "chatkit.conversation": "Conversation Message",
    "chatkit.endpoint.address": "Endpoint",
    "chatkit.endpoint.connect": "connect",
    "chatkit.api.answer": "Answer Delta",
    "chatkit.endpoint.reply": "Progress Reply Wait",
    "chatkit.endpoint.run": "Run",
    "chatkit.exceptions": "BudgetError ChatkitError EndpointError InputError SetupError StoreError",
    "chatkit.inspection": "Inspection",
    "chatkit.ledger.budget": "Budget budget",
    "chatkit.ledger.estimates": "CostRange Estimate",
    "chatkit.ledger.own_price": "OwnPrice",
    "chatkit.ledger.price_list": "own_prices remove_price set_price",
    "chatkit.ledger.record": "Usage UsageRecord",
    "chatkit.ledger.repricing": "Repricing reprice",
    "chatkit.ledger.rules": "Limit Spending",
    "chatkit.ledger.session": "current_session session",
    "chatkit.ledger.store": "UsageStore",
    "chatkit.ledger.tokens": "Range",
    "chatkit.readings.classroom": "ClassReport",
    "chatkit.readings.forecast": "Forecast estimate",
    "chatkit.readings.questions": "delete_session rename_session sessions tag_session usage",
    "chatkit.readings.report": "UsageReport",
    "chatkit.readings.session_list": "Session SessionList",
    "chatkit.readings.summary": "Summary",
    "chatkit.recall": "History Kept history",
    "chatkit.request": "Preview",
    "chatkit.speech.costs": "estimate_transcription",
    "chatkit.speech.timed": "Audio Missing Segment Word",
    "chatkit.speech.transcript": "Transcript",
    "chatkit.speech.verbs": "transcribe translate",
    "chatkit.ui.audio_uploader": "AudioUploader Draftable",
    "chatkit.ui.chat_panel": "ChatPanel",
    "chatkit.ui.inbox": "AudioFile",
    "chatkit.ui.usage_meter": "UsageMeter",
    "chatkit.worddiff": "Diff",
}
"""Each module with the public names whose home it is; the imports above say the same to a type checker."""
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}

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
