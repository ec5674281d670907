"""A model hub on this machine, as far as its client asks: HEAD and GET of files, with ranges, on demand unreliable."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """``files`` are ``{repository/file: content}``; ``requests`` is what was asked: (method, path, first byte)."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.requests: list[tuple[str, str, int]] = []
        self.announced: str | None = None  # another hash than that of the content
        self.cut_after: int | None = None
        self.hold_after: int | None = None  # no byte after these until ``released``
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        content = self.hub.files.get(re.sub(r"/resolve/[^/]+/", "/", self.path.lstrip("/")))
        given = self.headers.get("Range", "")
        first = int(given.removeprefix("bytes=").split("-")[0]) if given.startswith("bytes=") else 0
        self.hub.requests.append((self.command, self.path, first))
        if content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if first else 200)
        self.send_header("ETag", f'"{self.hub.announced or hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if with_body:
            self._send(content[first:])

    def _send(self, body: bytes) -> None:
        cut = self.hub.cut_after
        whole = body if cut is None else body[:cut]
        complete = len(whole) == len(body)
        try:
            if self.hub.hold_after is not None and len(whole) > self.hub.hold_after:
                self.wfile.write(whole[:self.hub.hold_after])
                self.hub.released.wait()
                whole = whole[self.hub.hold_after:]
            self.wfile.write(whole)
        except OSError:
            self.close_connection = True  # the client went away
        if not complete:
            self.connection.close()
            self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        pass
