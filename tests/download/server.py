"""A web server in a thread, which breaks off, changes files, lies about sizes and sends on, as a test wants it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Body = Callable[["Request"], "Reply"]


@dataclass
class Reply:
    """length: what Content-Length says, None for the truth, -1 for nothing. breaks_at: bytes before it hangs up."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    breaks_at: int | None = None


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    method: str = "GET"


class Server:
    """`pages`: what is answered for each path; `seen`: every request so far."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.pages: dict[str, Body] = {}
        self.seen: list[Request] = []

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def offer(self, path: str, content: bytes, etag: str = '"one"', **headers: str) -> FileOffer:
        offer = FileOffer(content, etag, headers)
        self.pages[path] = offer
        return offer


@dataclass
class FileOffer:
    """A file as good servers hand it out: with Range and If-Range. breaks: bytes sent before each hang-up to come."""

    content: bytes
    etag: str
    headers: dict[str, str]
    breaks: list[int] = field(default_factory=list)
    obeys_ranges: bool = True
    obeys_if_range: bool = True

    def __call__(self, request: Request) -> Reply:
        headers = {"ETag": self.etag, **self.headers}
        breaks_at = self.breaks.pop(0) if self.breaks else None
        wanted = request.headers.get("Range")
        same = request.headers.get("If-Range", self.etag) == self.etag or not self.obeys_if_range
        if wanted and self.obeys_ranges and same:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            if begin >= len(self.content):
                return Reply(status=416, headers={"Content-Range": f"bytes */{len(self.content)}"})
            headers["Content-Range"] = f"bytes {begin}-{len(self.content) - 1}/{len(self.content)}"
            return Reply(self.content[begin:], 206, headers, breaks_at=breaks_at)
        return Reply(self.content, 200, headers, breaks_at=breaks_at)


@contextmanager
def serving() -> Iterator[Server]:
    """The server while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            request = Request(self.path, dict(self.headers.items()), self.command)
            server.seen.append(request)
            page = server.pages.get(self.path.partition("?")[0])
            reply = page(request) if page is not None else Reply(b"nothing here", 404)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.length != -1:
                self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            if self.command != "HEAD":
                self.wfile.write(reply.body[: reply.breaks_at])

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Listening(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # who has heard enough hangs up

    listening = Listening(("127.0.0.1", 0), Handler)
    server = Server(listening.server_address[1])
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
