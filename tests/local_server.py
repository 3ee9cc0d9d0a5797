"""Starts real local servers for tests, as the launcher does: key down the pipe, ready line back."""

import atexit
import functools
import http.client
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from chatkit.local import weights, whisper

KEY = "chatkit-local-key-of-the-tests"
DEADLINE = 180.0


@functools.cache
def has_weights() -> bool:
    return weights.locate() is not None and whisper.locate() is not None


def needs_weights() -> None:
    if not has_weights():
        pytest.skip("the weights are not on this machine: run `chatkit models fetch`")


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]

    @property
    def events(self) -> list[tuple[str | None, str]]:
        """The stream's events as (name, data)."""
        blocks = [block.splitlines() for block in self.body.decode().split("\n\n") if block]
        return [
            (next((line[7:] for line in block if line.startswith("event: ")), None),
             next(line[6:] for line in block if line.startswith("data: ")))
            for block in blocks
        ]  # fmt: skip

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(data) for _, data in self.events if data != "[DONE]"]


class LocalServer:
    def __init__(self, *arguments: str, key: str = KEY, program: Sequence[str] = ("-m", "chatkit.local")) -> None:
        command = [sys.executable, *program, "--with-parent", *arguments]
        self.key = key
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.process.stdin.write(key + "\n")
        self.process.stdin.flush()
        self.ready = json.loads(self.process.stdout.readline())
        if "base_url" in self.ready:
            self.port = urlsplit(self.ready["base_url"]).port

    def connection(self, timeout: float = DEADLINE) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, path: str, body: Any = None, *, method: str | None = None, **headers: str | None) -> Answer:
        """One request; headers by name with _ for -, None leaves one out; bytes go as they are."""
        given = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = self.connection()
        try:
            connection.request(
                method or ("GET" if body is None else "POST"),
                path,
                raw,
                {k: v for k, v in given.items() if v is not None},
            )
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def hear(
        self, audio: bytes, verb: str = "transcriptions", *, name: str = "clip.flac", **fields: str | list[str]
    ) -> Answer:
        """One file sent as the API's clients send it."""
        body, kind = form({"model": "whisper-1", **fields}, audio, name)
        return self.ask(f"/v1/audio/{verb}", body, content_type=kind)

    def open_stream(self, **parameters: Any) -> http.client.HTTPConnection:
        """A connection on which an endless answer streams; its first bytes have come."""
        connection = self.connection()
        body = chat(stream=True, max_tokens=8000, logit_bias={"2": -100}, **parameters)
        connection.request(
            "POST",
            "/v1/chat/completions",
            json.dumps(body),
            {"authorization": f"Bearer {self.key}", "content-type": "application/json"},
        )
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read1(1)
        return connection

    def close(self) -> int:
        self.process.stdin.close()
        code = self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


AUDIO = Path(__file__).parent / "audio"
BOUNDARY = "chatkit-test-boundary"


def clip(name: str) -> bytes:
    """One of the clips in tests/audio."""
    return (AUDIO / name).read_bytes()


def spoken(name: str) -> str:
    """What is said in it."""
    return (AUDIO / name).with_suffix(".txt").read_text(encoding="utf-8").strip()


def form(fields: dict[str, str | list[str]], audio: bytes | None, name: str = "clip.flac") -> tuple[bytes, str]:
    """A multipart form and its content type; a list is sent as name[]."""
    pairs = [
        (key + "[]" * isinstance(value, list), each)
        for key, value in fields.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    parts = [f'form-data; name="{key}"\r\n\r\n{value}\r\n'.encode() for key, value in pairs]
    if audio is not None:
        head = f'form-data; name="file"; filename="{name}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        parts.append(head.encode() + audio + b"\r\n")
    line = f"--{BOUNDARY}".encode()
    body = b"".join(line + b"\r\nContent-Disposition: " + part for part in parts) + line + b"--\r\n"
    return body, f"multipart/form-data; boundary={BOUNDARY}"


def chat(text: str = "Where was the 2014 World Cup held?", **parameters: Any) -> dict[str, Any]:
    return {"model": "any", "max_tokens": 8, "messages": [{"role": "user", "content": text}]} | parameters


@functools.cache
def _shared() -> LocalServer:
    server = LocalServer("--slots", "2", "--queue", "8", "--window", "1024")
    atexit.register(server.close)
    return server


def shared_server() -> LocalServer:
    """One server for all tests that leave it as it was: two slots of 1024 tokens."""
    needs_weights()
    return _shared()
