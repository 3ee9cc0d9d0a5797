"""Annexe: the language model, llama.cpp in this process. In: an Ask's bodies. Out: pieces of text, as they come.

The engine is called without HTTP: its handler runs on a thread for each slot and hands every chunk to
the event loop. It can be stopped at each chunk, and while it reads a long prompt at each batch.
"""

import asyncio
import contextlib
import hashlib
import json
import secrets
import signal
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from chatkit.system import libraries

with libraries.loading("xllamacpp"):
    import xllamacpp

from chatkit import private_folder
from chatkit.exceptions import SetupError
from chatkit.local.ask import Generation
from chatkit.local.piece import GeneratedPiece, Tokens
from chatkit.local.validation import ApiError, server_fault
from chatkit.system import shell
from chatkit.system.processes import has_unix_sockets

_llama: Any = xllamacpp
"""The extension has no types."""

BATCH = 64
"""Tokens of prompt read at a time. A stop waits for up to two batches of 0.35 s on one slow processor; at 32 a
prompt costs half as much again, at 128 and more it costs 7 % less."""

SOCKET = "engine.sock"
FINISHES = {"stop": "stop", "length": "length"}

Put = Callable[[str], bool]


class Language:
    """A loaded model with `slots` places, each with a full window of its own.

    Raises SetupError if llama.cpp cannot load the file.
    """

    def __init__(
        self, weights: Path, alias: str, *, window: int, slots: int, threads: int = 1, verbose: bool = False
    ) -> None:
        self.alias, self.window, self.slots = alias, window, slots
        version = getattr(_llama, "__version__", "")
        self.fingerprint = "fp_" + hashlib.sha256(f"{alias} {version}".encode()).hexdigest()[:10]
        with _private_address() as address:
            params = _parameters(weights, alias, window, slots, threads, address)
            params.verbosity = 3 if verbose else -1
            try:
                self._server = _llama.Server(params)
            except RuntimeError:
                raise SetupError(
                    f"llama.cpp cannot load {weights.name}: it is damaged, of an unknown kind, or too big for this "
                    "machine's memory.",
                    f"Fetch it again ({shell.chatkit('models fetch')}), or give another file (--model) or a smaller --window.",
                ) from None
        _take_signals_back()
        self._server.handle_metrics()  # answered by its loop: a stop that comes before the loop runs is lost, and hangs
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="chatkit-slot")
        self._places = asyncio.Semaphore(slots)
        self._mail = _Mail()

    @property
    def names(self) -> dict[str, Any]:
        """What each answer says of the model: its alias, never its path."""
        return {"model": self.alias, "system_fingerprint": self.fingerprint}

    async def pieces(self, ask: Generation) -> AsyncIterator[list[tuple[int, GeneratedPiece]]]:
        """What has come since the last time, as (answer's index, piece); closing it frees the slots."""
        inbox = _Inbox()
        tasks = [asyncio.create_task(self._generate(ask.kind, body, inbox, i)) for i, body in enumerate(ask.bodies)]
        for task in tasks:
            task.add_done_callback(inbox.leave)
        try:
            while not inbox.finished(len(tasks)):
                chunks = await inbox.take()
                for _, chunk in chunks:
                    if "error" in chunk:
                        raise _problem(chunk["error"], ask.prompt, self.window)
                yield [(index, _piece(chunk)) for index, chunk in chunks]
        finally:
            for task in tasks:
                task.cancel()

    async def _generate(self, kind: str, body: dict[str, Any], inbox: "_Inbox", index: int) -> None:
        await self._places.acquire()
        loop, stop = asyncio.get_running_loop(), threading.Event()

        def put(chunk: str) -> bool:
            if not stop.is_set():
                self._mail.send(loop, inbox, index, chunk)
            return stop.is_set()

        call = loop.run_in_executor(self._pool, self._call, kind, _engine_body(body), put)
        call.add_done_callback(self._free)
        try:
            await asyncio.shield(call)
        finally:
            stop.set()

    def _free(self, call: "asyncio.Future[None]") -> None:
        self._places.release()
        if not call.cancelled():
            call.exception()  # read, so that asyncio does not complain where the client has left

    def _call(self, kind: str, body: str, put: Put) -> None:
        handle = self._server.handle_chat_completions if kind == "chat" else self._server.handle_completions
        try:
            handle(body, put)
        except ValueError as error:
            put(json.dumps({"error": {"code": 400, "message": str(error)}}))


class _Mail:
    """Carries chunks from the slots' threads to the event loop, which is woken once for all that have come."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[_Inbox, int, str]] = deque()
        self._woken = False

    def send(self, loop: asyncio.AbstractEventLoop, inbox: "_Inbox", index: int, chunk: str) -> None:
        self._waiting.append((inbox, index, chunk))
        if not self._woken:
            self._woken = True
            loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        # first the flag, then the mail: what comes in between wakes the loop once more, and is not left lying
        self._woken = False
        while self._waiting:
            inbox, index, chunk = self._waiting.popleft()
            inbox.put(index, chunk)


class _Inbox:
    """Where the threads' chunks wait for the event loop."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[int, str]] = deque()
        self._news = asyncio.Event()
        self._left = 0
        self._error: BaseException | None = None

    def put(self, index: int, chunk: str) -> None:
        self._chunks.append((index, chunk))
        self._news.set()

    def leave(self, task: "asyncio.Task[None]") -> None:
        self._left += 1
        if not task.cancelled() and (error := task.exception()):
            self._error = error
        self._news.set()

    def finished(self, tasks: int) -> bool:
        return self._left == tasks and not self._chunks and self._error is None

    async def take(self) -> list[tuple[int, dict[str, Any]]]:
        await self._news.wait()
        self._news.clear()
        if self._error:
            raise server_fault() from self._error
        got = [(index, json.loads(chunk)) for index, chunk in self._chunks]
        self._chunks.clear()
        return got


def _engine_body(body: dict[str, Any]) -> str:
    # progress chunks make a long prompt stoppable; ASCII keeps text exact whatever the locale
    always = {"stream": True, "stream_options": {"include_usage": True}, "return_progress": True}
    return json.dumps(body | always)


def _piece(chunk: dict[str, Any]) -> GeneratedPiece:
    usage = chunk.get("usage")
    tokens = usage and Tokens(
        usage["prompt_tokens"],
        usage["completion_tokens"],
        (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
    )
    for choice in chunk.get("choices", ()):
        text = choice.get("text") or choice.get("delta", {}).get("content") or ""
        entries = (choice.get("logprobs") or {}).get("content") or ()
        finish = choice.get("finish_reason")
        return GeneratedPiece(text, tuple(entries), finish and FINISHES.get(finish, "stop"), tokens)
    return GeneratedPiece(tokens=tokens)


def _problem(error: dict[str, Any], prompt: str, window: int) -> ApiError:
    if error.get("type") == "exceed_context_size_error":
        return ApiError(
            400,
            f"This model's maximum context length is {window} tokens. However, your prompt has "
            f"{error['n_prompt_tokens']} tokens. Please shorten it.",
            param=prompt,
            code="context_length_exceeded",
        )
    message = str(error.get("message", ""))
    if "schema" in message or "grammar" in message:
        reason = message.rpartition("JSON schema error at ")[2]
        return ApiError(
            400,
            f"The local model's engine cannot follow this JSON schema: {reason[:300]}",
            param="text.format" if prompt == "input" else "response_format",
            code="invalid_json_schema",
        )
    if error.get("code") == 400:
        return ApiError(400, f"The local model's engine refused this request: {message[:300]}", code="invalid_value")
    return server_fault()


def _parameters(weights: Path, alias: str, window: int, slots: int, threads: int, address: str) -> Any:
    params = _llama.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {alias}
    # llama.cpp splits n_ctx over its slots
    params.n_ctx, params.n_parallel = window * slots, slots
    params.n_batch = params.n_ubatch = BATCH
    for processors in (params.cpuparams, params.cpuparams_batch):
        processors.n_threads, processors.poll = threads, 0
    params.fit_params = False
    params.cache_ram_mib = 0
    params.prefill_assistant = False
    params.reasoning_format = _llama.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    params.hostnames = [address]
    params.api_keys = [secrets.token_urlsafe(32)]
    params.cors_origins, params.cors_credentials = "", False
    params.ui = params.endpoint_slots = params.endpoint_props = False
    params.endpoint_metrics = True
    return params


@contextlib.contextmanager
def _private_address() -> Iterator[str]:
    """Where llama.cpp's own server, which cannot be switched off, listens: a socket that is gone at once.

    Windows has no such socket in llama.cpp's HTTP library, and elsewhere each folder's path may be too long for one;
    there it is a loopback port behind a random key.
    """
    folder = private_folder.for_a_socket(SOCKET) if has_unix_sockets() else None
    if folder is None:
        yield "127.0.0.1"
        return
    try:
        yield str(folder.path / SOCKET)
    finally:
        folder.close()


def _take_signals_back() -> None:
    # llama.cpp's server sets handlers of its own behind Python's back
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.getsignal(number) or signal.SIG_DFL)
