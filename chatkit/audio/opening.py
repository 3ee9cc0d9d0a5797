"""Audio, a file opened by PyAV, whichever of its versions is installed.

In: an open file, and what ffmpeg may do with it. Out: its container.
"""

from typing import IO, Any

import av
from av.container import InputContainer

FAULTS = (av.FFmpegError, OSError)
"""What a bad file is met with: ffmpeg's own errors, and Python's where PyAV reads or seeks. All else is ours."""


def opened(file: IO[bytes], options: dict[str, str], form: str | None = None) -> InputContainer:
    """The file as a container, its tags in whatever encoding; `form` names the demuxer, else ffmpeg finds it.

    Raises one of FAULTS for a bad file.
    """
    container: InputContainer = av.open(file, "r", format=form, options=options, **_tags(av.__version__))
    return container


def _tags(version: str) -> dict[str, Any]:
    """What lets tags be that are not UTF-8: up to 18 PyAV breaks on them unless told; 19 never does, and knows no word.

    >>> _tags("18.1.0"), _tags("19.0.2")
    ({'metadata_errors': 'ignore'}, {})
    """
    return {"metadata_errors": "ignore"} if int(version.partition(".")[0]) < 19 else {}
