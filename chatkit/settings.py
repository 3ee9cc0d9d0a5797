"""What a chat asks with beside its messages: model, parameters, API, and the rule that trims.

In: what a person has set, or what a file says. Out: checks against an endpoint, in sentences; the form for a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chatkit.api import models, parameters
from chatkit.api.request_body import APIS, Api
from chatkit.context import Trim, check_trim
from chatkit.endpoint.address import Endpoint
from chatkit.exceptions import InputError, mended
from chatkit.ledger import limits
from chatkit.message import mended_all

NO_PARAMETERS = frozenset((*parameters.OWN, "self", "system", "client", "conversation", "api", "trim", "history"))
"""What chatkit sets itself, in its own words."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a turn is asked with. `model` None is the endpoint's; parameters that are None are not sent.

    Raises InputError for what no chat can have.

    >>> Settings(api="responses").rejected(None)["seed"]
    'The Responses API has no seed.'
    """

    model: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    api: Api = "chat"
    trim: Trim = "none"

    def __post_init__(self) -> None:
        if self.api not in APIS:
            raise InputError(f"api is {self.api!r}; it must be 'chat' or 'responses'.")
        check_trim(self.trim)
        for name in parameters.CONNECTION:
            if name in self.parameters:
                raise InputError(
                    f"{name} is not a parameter of a chat.", "Chat(client=chatkit.connect(...)) says where calls go."
                )
        if isinstance(self.model, str):
            object.__setattr__(self, "model", mended(self.model))
        given = {k: v for k, v in self.parameters.items() if v is not None}
        object.__setattr__(self, "parameters", mended_all(given, "parameters"))

    def name(self, endpoint: Endpoint | None) -> str:
        """The model's name that is sent."""
        return self.model or (endpoint.model if endpoint else models.HOSTED_DEFAULT)

    def window(self, endpoint: Endpoint | None) -> int | None:
        """The tokens that the model takes, answer included; None where that is unknown."""
        if endpoint is not None and endpoint.rules == "local":
            return endpoint.window
        if endpoint is None and self.model is None:
            return None
        return limits.window(self.name(endpoint), endpoint.base_url if endpoint else limits.OPENAI)

    def known(self, endpoint: Endpoint | None) -> models.Model:
        """What is known of the model where it is asked; of one that nobody knows who will answer for, nothing."""
        return models.find(self.name(endpoint), endpoint.rules if endpoint else "own")

    def faults(self) -> list[str]:
        """What cannot be sent to any endpoint, a sentence each."""
        return parameters.faults(self.model or models.HOSTED_DEFAULT, self.parameters, None)

    def refusals(self, endpoint: Endpoint | None) -> list[str]:
        """Why the endpoint would refuse the request, a sentence each; whoever is not OpenAI decides for himself."""
        if endpoint is None:
            return []
        known, name = self.known(endpoint), self.name(endpoint)
        if gone := known.gone(datetime.now(UTC).date()):
            return [gone]
        here, anywhere = (parameters.faults(name, self.parameters, rules) for rules in (endpoint.rules, None))
        return [*known.refusals(self.parameters, self.api), *(fault for fault in here if fault not in anywhere)]

    def rejected(self, endpoint: Endpoint | None) -> Mapping[str, str]:
        """Which parameters would be refused or not heeded, set or not, and why; also "api", where the model has one."""
        return self.known(endpoint).rejected(self.parameters, self.api)

    def kept(self) -> dict[str, Any]:
        """The form for a file."""
        return {"model": self.model, "parameters": dict(self.parameters), "api": self.api, "trim": self.trim}

    @classmethod
    def from_kept(cls, kept: Mapping[str, Any]) -> "Settings":
        """Settings from a file; what else the file holds is let go. The errors name the field."""
        own = {name: kept[name] for name in ("model", "parameters", "api", "trim") if name in kept}
        if not isinstance(own.get("model"), str | None):
            raise InputError(f"settings.model is {own['model']!r:.60}; it must be text.")
        if not isinstance(own.get("parameters", {}), dict):
            raise InputError("settings.parameters must be an object.")
        for name in own.get("parameters", {}):
            if name in NO_PARAMETERS:
                raise InputError(
                    f"settings.parameters has {name!r}, which is no parameter of the API.", "Take it out of the file."
                )
        try:
            return cls(**own)
        except InputError as error:
            raise InputError(f"settings: {error.cause}", error.way_out) from None
