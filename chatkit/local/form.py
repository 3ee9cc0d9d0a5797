"""Annexe: reads an upload, a multipart form with one file. In: a request. Out: its fields, and the file on disk.

What comes is counted as it comes, and only the file goes to disk, under no name: how it is called is never a path.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from chatkit.api.speech_models import LARGEST_FILE
from chatkit.local.stream import ClientGoneError
from chatkit.local.validation import ApiError

BESIDES = 65_536
"""Bytes for all that stands beside the file; a prompt has a few hundred."""
MOST_FIELDS = 32
PATIENCE = 2**28
"""Bytes of a body too large that are read and thrown away, for most clients look for an answer only when all is sent."""
PIECE_SECONDS, UPLOAD_SECONDS = 15.0, 300.0
"""Within which each piece, and the whole, must have come."""


@dataclass(slots=True)
class UploadForm:
    """The fields as they came, those named `x[]` as lists; and the file, which `close` deletes."""

    fields: dict[str, Any]
    file: UploadFile | None

    async def close(self) -> None:
        """Let go of the file."""
        if self.file:
            await self.file.close()


async def read(request: Request) -> UploadForm:
    """The form of `request`; ApiError for what is none, is too large or does not come."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise ApiError(
            415, "Send the audio as 'Content-Type: multipart/form-data', as the API's clients do.",
            code="unsupported_media_type",
        )  # fmt: skip
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > PATIENCE:
        raise _too_large()
    parser = MultiPartParser(
        request.headers, _pieces(request), max_files=1, max_fields=MOST_FIELDS, max_part_size=BESIDES
    )
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            return _form(await parser.parse())
    except MultiPartException as error:
        if "maximum size" in error.message:
            raise _too_long() from None
        raise ApiError(400, f"The form cannot be read: {error.message}", code="invalid_form") from None
    except TimeoutError:
        raise ApiError(
            408, "The upload did not come in time.", code="request_timeout", headers={"connection": "close"}
        ) from None
    except ClientDisconnect:
        raise ClientGoneError from None


async def _pieces(request: Request) -> AsyncGenerator[bytes, None]:
    stream, total = request.stream(), 0
    while True:
        try:
            piece = await asyncio.wait_for(anext(stream), PIECE_SECONDS)
        except StopAsyncIteration:
            break
        total += len(piece)
        if total <= LARGEST_FILE + BESIDES:
            yield piece
        elif total > PATIENCE:
            break
    if total > LARGEST_FILE + BESIDES:
        raise _too_large()


def _form(data: FormData) -> UploadForm:
    form = UploadForm({}, None)
    for name, value in data.multi_items():
        if isinstance(value, UploadFile) and name == "file":
            form.file = value
        elif name.endswith("[]"):
            form.fields.setdefault(name[:-2], []).append(value)
        else:
            form.fields[name] = value
    if form.file and (form.file.size or 0) > LARGEST_FILE:
        raise _too_large()
    return form


def _too_long() -> ApiError:
    return ApiError(
        400, f"A field beside the file holds more than {BESIDES:,} bytes. If it is the prompt: Whisper reads the last few "
        "hundred words of it, so send those.",
        param="prompt", code="string_above_max_length",
    )  # fmt: skip


def _too_large() -> ApiError:
    return ApiError(
        413, f"The file is larger than {LARGEST_FILE:,} bytes; split it, and send the parts.",
        param="file", code="request_too_large", headers={"connection": "close"},
    )  # fmt: skip
