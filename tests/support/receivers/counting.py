"""A local HTTP receiver in a thread of its own, for tests with real processes: it counts what it takes, and can be down."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


class CountingReceiver:
    """Takes any POST. `bodies` are those that it took, in order; `status` is what it answers."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.refused = 0
        self.status = 200
        self.on_request = threading.Event()  # set by each request
        self.gate = threading.Event()  # answers wait until it is set
        self.gate.set()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def stop(self) -> None:
        """Stop listening."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver._lock:
                    status = receiver.status
                    if status < 300:
                        receiver.bodies.append(orjson.loads(body))
                    else:
                        receiver.refused += 1
                receiver.on_request.set()
                receiver.gate.wait()
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    return  # whoever asked was killed

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's
                """Nothing: tests print nothing."""

        return Handler
