"""A loopback endpoint for speech: it answers any audio with the same segments, and holds the answer while told to."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SEGMENTS = (
    (0.0, 2.4, "Good morning, everyone."),
    (2.4, 5.1, "Welcome to <b>Brazil</b>."),
    (5.1, 8.0, "مرحبا بكم في البرازيل."),
    (8.0, 9.8, "Let us begin."),
)


@dataclass
class Request:
    """What came: the path and the form as bytes; whether the answer was sent, or the caller went away."""

    path: str
    body: bytes
    answered: bool = False
    gone: threading.Event = field(default_factory=threading.Event)

    def wait_gone(self) -> bool:
        """Whether the caller went away, at last."""
        return self.gone.wait(10)


@dataclass
class ScriptedSpeech:
    """Serves on its own threads until `close()`; `hold()` keeps answers back, `let_go()` sends them."""

    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._free = threading.Event()
        self._free.set()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                endpoint.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def hold(self) -> None:
        self._free.clear()

    def let_go(self) -> None:
        self._free.set()

    def close(self) -> None:
        self.let_go()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        request = Request(handler.path, _body(handler))
        self.requests.append(request)
        while not self._free.wait(0.02):
            if _hung_up(handler):
                request.gone.set()
                return
        data = json.dumps(_transcript()).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
        request.answered = True


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if "content-length" in handler.headers:
        return handler.rfile.read(int(handler.headers["content-length"]))
    body = b""
    while size := int(handler.rfile.readline(), 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body


def _hung_up(handler: BaseHTTPRequestHandler) -> bool:
    import select
    import socket

    readable, _, _ = select.select([handler.connection], [], [], 0)
    return bool(readable) and handler.connection.recv(1, socket.MSG_PEEK) == b""


def _transcript() -> dict:
    segments = [
        {
            "id": n, "seek": 0, "start": start, "end": end, "text": f" {text}", "tokens": [], "temperature": 0.0,
            "avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.0,
        }
        for n, (start, end, text) in enumerate(SEGMENTS)
    ]  # fmt: skip
    text = " ".join(text for _, _, text in SEGMENTS)
    return {"task": "transcribe", "language": "english", "duration": 9.8, "text": text, "segments": segments,
            "usage": {"type": "duration", "seconds": 10}}  # fmt: skip
