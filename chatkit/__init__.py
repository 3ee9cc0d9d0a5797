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
    from chatkit.chats.chat import Chat as Chat
    from chatkit.chats.history import History as History
    from chatkit.chats.history import Kept as Kept
    from chatkit.chats.history import history as history
    from chatkit.chats.inspection import Inspection as Inspection
    from chatkit.chats.request import Preview as Preview
    from chatkit.client.address import Endpoint as Endpoint
    from chatkit.client.connect import connect as connect
    from chatkit.client.reply import Progress as Progress
    from chatkit.client.reply import Reply as Reply
    from chatkit.client.reply import Wait as Wait
    from chatkit.client.run import Run as Run
    from chatkit.conversation.branches import Branch as Branch
    from chatkit.conversation.branches import Variants as Variants
    from chatkit.conversation.conversation import Conversation as Conversation
    from chatkit.conversation.conversation import Message as Message
    from chatkit.conversation.diff import Diff as Diff
    from chatkit.exceptions import BudgetError as BudgetError
    from chatkit.exceptions import ChatkitError as ChatkitError
    from chatkit.exceptions import EndpointError as EndpointError
    from chatkit.exceptions import InputError as InputError
    from chatkit.exceptions import SetupError as SetupError
    from chatkit.exceptions import StoreError as StoreError
    from chatkit.ledger.budget import Budget as Budget
    from chatkit.ledger.budget import budget as budget
    from chatkit.ledger.estimate import CostRange as CostRange
    from chatkit.ledger.estimate import Estimate as Estimate
    from chatkit.ledger.estimate import Range as Range
    from chatkit.ledger.record import Usage as Usage
    from chatkit.ledger.record import UsageRecord as UsageRecord
    from chatkit.ledger.record import current_session as current_session
    from chatkit.ledger.record import session as session
    from chatkit.ledger.repricing import Repricing as Repricing
    from chatkit.ledger.repricing import own_prices as own_prices
    from chatkit.ledger.repricing import remove_price as remove_price
    from chatkit.ledger.repricing import reprice as reprice
    from chatkit.ledger.repricing import set_price as set_price
    from chatkit.ledger.rules import Limit as Limit
    from chatkit.ledger.rules import OwnPrice as OwnPrice
    from chatkit.ledger.rules import Spending as Spending
    from chatkit.ledger.store import UsageStore as UsageStore
    from chatkit.reports.class_report import ClassReport as ClassReport
    from chatkit.reports.forecast import Forecast as Forecast
    from chatkit.reports.forecast import estimate as estimate
    from chatkit.reports.report import UsageReport as UsageReport
    from chatkit.reports.report import delete_session as delete_session
    from chatkit.reports.report import rename_session as rename_session
    from chatkit.reports.report import sessions as sessions
    from chatkit.reports.report import tag_session as tag_session
    from chatkit.reports.report import usage as usage
    from chatkit.reports.summary import Session as Session
    from chatkit.reports.summary import SessionList as SessionList
    from chatkit.reports.summary import Summary as Summary
    from chatkit.speech.costs import estimate_transcription as estimate_transcription
    from chatkit.speech.timed import Audio as Audio
    from chatkit.speech.timed import Missing as Missing
    from chatkit.speech.timed import Segment as Segment
    from chatkit.speech.timed import Word as Word
    from chatkit.speech.transcribe import transcribe as transcribe
    from chatkit.speech.transcribe import translate as translate
    from chatkit.speech.transcript import Transcript as Transcript
    from chatkit.ui.audio_uploader import AudioUploader as AudioUploader
    from chatkit.ui.audio_uploader import Draftable as Draftable
    from chatkit.ui.chat_panel import ChatPanel as ChatPanel
    from chatkit.ui.inbox import AudioFile as AudioFile
    from chatkit.ui.usage_meter import UsageMeter as UsageMeter

__version__ = "0.1.0"

_NAMES = {
    "chatkit.api.answer": "Answer Delta",
    "chatkit.api.speech_models": "SpeechModel speech_models",
    "chatkit.chats.chat": "Chat",
    "chatkit.chats.history": "History Kept history",
    "chatkit.chats.inspection": "Inspection",
    "chatkit.chats.request": "Preview",
    "chatkit.client.address": "Endpoint",
    "chatkit.client.connect": "connect",
    "chatkit.client.reply": "Progress Reply Wait",
    "chatkit.client.run": "Run",
    "chatkit.conversation.branches": "Branch Variants",
    "chatkit.conversation.conversation": "Conversation Message",
    "chatkit.conversation.diff": "Diff",
    "chatkit.exceptions": "BudgetError ChatkitError EndpointError InputError SetupError StoreError",
    "chatkit.ledger.budget": "Budget budget",
    "chatkit.ledger.estimate": "CostRange Estimate Range",
    "chatkit.ledger.record": "Usage UsageRecord current_session session",
    "chatkit.ledger.repricing": "Repricing own_prices remove_price reprice set_price",
    "chatkit.ledger.rules": "Limit OwnPrice Spending",
    "chatkit.ledger.store": "UsageStore",
    "chatkit.reports.class_report": "ClassReport",
    "chatkit.reports.forecast": "Forecast estimate",
    "chatkit.reports.report": "UsageReport delete_session rename_session sessions tag_session usage",
    "chatkit.reports.summary": "Session SessionList Summary",
    "chatkit.speech.costs": "estimate_transcription",
    "chatkit.speech.timed": "Audio Missing Segment Word",
    "chatkit.speech.transcribe": "transcribe translate",
    "chatkit.speech.transcript": "Transcript",
    "chatkit.ui.audio_uploader": "AudioUploader Draftable",
    "chatkit.ui.chat_panel": "ChatPanel",
    "chatkit.ui.inbox": "AudioFile",
    "chatkit.ui.usage_meter": "UsageMeter",
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
