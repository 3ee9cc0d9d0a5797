"""What a chat asks with, for as long as it lives: model, parameters, API, rule, endpoint.

In: what a person sets, and what a conversation's file does. Out: `Settings` for a turn, which never change; what the
endpoint would refuse of them; what a file sets beside, set aside until somebody takes it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from chatkit import context
from chatkit.api.redact import SECRET
from chatkit.context import Trim
from chatkit.endpoint import connect
from chatkit.endpoint.address import Endpoint
from chatkit.endpoint.engine import Api
from chatkit.message import Message
from chatkit.settings import Settings

if TYPE_CHECKING:
    import openai


class ChatSettings:
    """What every turn of a chat is asked with; a person may change all of it between two turns."""

    def __init__(
        self,
        model: str | None,
        client: "openai.OpenAI | openai.AsyncOpenAI | None",
        api: Api,
        trim: Trim,
        parameters: dict[str, Any],
    ) -> None:
        Settings(parameters=parameters)  # refuses a key, which must not be kept in any attribute
        self.parameters = parameters
        self.model = model
        self.api = api
        self.trim = trim
        self.endpoint = connect.endpoint_of(client) if client is not None else None
        self._set_aside: dict[str, Any] = {}

    @property
    def api(self) -> Api:
        """The API that is asked: "chat" or "responses"."""
        return self._api

    @api.setter
    def api(self, api: Api) -> None:
        self._api: Api = Settings(api=api).api

    @property
    def trim(self) -> Trim:
        """The rule by which a long conversation is shortened for sending: "none", "oldest", or a number of tokens."""
        return self._trim

    @trim.setter
    def trim(self, trim: Trim) -> None:
        self._trim: Trim = context.check_trim(trim)

    @property
    def rejected(self) -> Mapping[str, str]:
        """Which parameters the present API or model would refuse, and why, a sentence each."""
        return self._settings().rejected(self.foreseen)

    @property
    def foreseen(self) -> Endpoint | None:
        """Where the next turn goes: the endpoint there is, else the one that the environment names.

        None where it names none: the local server will be started, and answer.
        """
        return self.endpoint or connect.foreseen()

    def goes_on(self, message: Message) -> bool:
        """Whether who answers lets an answer go on in its own text; elsewhere `resume` asks for the rest."""
        local = self.endpoint is not None and self.endpoint.rules == "local"
        return local and isinstance(message.content, str) and bool(message.text) and message.enabled

    @property
    def set_aside(self) -> Mapping[str, Any]:
        """What the file that this chat was loaded from sets beside, and nobody has taken yet, by name."""
        return MappingProxyType(self._set_aside)

    def accept(self) -> Mapping[str, Any]:
        """Take what the file sets and `set_aside` names; gives back what was taken."""
        taken = self.decline()
        self.model = taken.get("model", self.model)
        self.parameters |= {name: value for name, value in taken.items() if name != "model"}
        return taken

    def decline(self) -> Mapping[str, Any]:
        """Leave out for good what `set_aside` names; gives back what was left out."""
        gone, self._set_aside = self._set_aside, {}
        return gone

    def _settings(self) -> Settings:
        return Settings(self.model, dict(self.parameters), self.api, self.trim)

    def _keys(self) -> list[str]:
        """The keys that are held, none of which may be written down."""
        endpoint = self.endpoint
        azure = dict(endpoint.azure) if endpoint else {}
        held = (endpoint and endpoint.api_key, azure.get("api_key"), azure.get("azure_ad_token"))
        return [key for key in held if isinstance(key, str) and len(key) >= SECRET]
