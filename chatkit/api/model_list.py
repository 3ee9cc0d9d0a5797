"""The wire's lists of models: the API's object, or what other servers make of it.

In: the body of an answer to `/models`. Out: the models, each at least with an `id`; what is none is passed over.
Together and Jan send a bare array (danielmiessler/Fabric#435, janhq/jan#1669), others `models`, or names alone.
"""

from collections.abc import Mapping
from typing import Any

from chatkit.api.decode import decode, mend

_LISTS = ("models", "result", "items")
_NAMES = ("id", "name", "model")


def read_models(body: bytes) -> list[dict[str, Any]]:
    """The models of a list; raises ValueError for what is no list.

    >>> read_models(b'[{"id": "a"}, {"id": null}, null, "b"]')
    [{'id': 'a'}, {'id': 'b'}]
    """
    listed = decode(body.decode("utf-8", "replace"))
    if isinstance(listed, Mapping):
        others = (listed[name] for name in _LISTS if isinstance(listed.get(name), list) and listed[name])
        listed = listed["data"] if isinstance(listed.get("data"), list) else next(others, None)
    if not isinstance(listed, list):
        raise ValueError("it holds no list of models")
    return [model for model in map(_model, listed) if model]


def _model(entry: Any) -> dict[str, Any] | None:
    if isinstance(entry, str):
        return {"id": mend(entry)} if entry else None
    if not isinstance(entry, Mapping):
        return None
    name = next((entry[key] for key in _NAMES if isinstance(entry.get(key), str) and entry[key]), None)
    return {**entry, "id": name} if name else None
