"""A server on loopback that answers whatever chatkit asks, and keeps what it was sent."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Recording(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer({"object": "list", "data": [{"id": "m", "object": "model"}]})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        self.answer({"id": "c", "model": "m", "choices": [choice], "text": "Hi", "segments": [], "duration": 1.0})

    def do_CONNECT(self):
        self.answer({})

    def answer(self, body):
        self.server.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def version_string(self):
        return self.server.called

    def log_message(self, *_):
        pass


@contextmanager
def recording(called="somebody"):
    """A server; `seen` has (method, path, headers with small names) of each request, `called` is its Server header."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Recording) as server:
        server.seen, server.called = [], called
        server.host = f"127.0.0.1:{server.server_port}"
        server.url = f"http://{server.host}/v1"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
