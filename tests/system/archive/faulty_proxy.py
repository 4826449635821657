"""A proxy for an S3 server that fails as stores do: python faulty_proxy.py PORT SERVER PLAN.

PLAN is a file, read at each request: the name of a fault, and for how many requests from now on it is done; the proxy
counts the number down there. Without a plan it passes everything on.
"""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

import requests

DROPPED = ("transfer-encoding", "connection", "content-length", "content-encoding")
HOP_BY_HOP = ("transfer-encoding", "connection", "content-length", "expect")
ERRORS = {
    "busy": (503, "SlowDown", "Please reduce your request rate."),
    "broken": (500, "InternalError", "We encountered an internal error. Please try again."),
    "expired": (403, "ExpiredToken", "The provided token has expired."),
    "denied": (403, "AccessDenied", "Access Denied"),
}
HANG_S = 60
planned = Lock()


def next_fault() -> str:
    """Return the fault of this request, "" for none, and count it."""
    with planned:
        plan = Path(sys.argv[3])
        fault, _, left = plan.read_text(encoding="utf8").partition(" ") if plan.exists() else ("", "", "0")
        if int(left or 0) <= 0:
            return ""
        plan.write_text(f"{fault} {int(left) - 1}", encoding="utf8")
        return fault


class Faulty(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self) -> None:
        body = self.body()
        fault = next_fault()
        if fault in ERRORS:
            self.fail(*ERRORS[fault])
            return
        if fault == "hang":
            time.sleep(HANG_S)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        found = requests.request(self.command, sys.argv[2] + self.path, data=body, headers=headers, timeout=30)
        self.send_response(found.status_code)
        for name, value in found.headers.items():
            if name.lower() not in DROPPED:
                self.send_header(name, value)
        length = found.headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(found.content))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(found.content[: len(found.content) // 2] if fault == "cut" else found.content)
        if fault == "cut":
            self.close_connection = True

    def body(self) -> bytes:
        """Return the request's body, which Arrow sends in chunks."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def fail(self, status: int, code: str, message: str) -> None:
        text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", "0" if self.command == "HEAD" else str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward  # noqa: N815 - named by http.server


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Faulty).serve_forever()
