"""A proxy for an S3 server that drops the condition of a put: python deaf_proxy.py PORT SERVER.

Through it, an S3 server behaves like one that ignores If-None-Match.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

DROPPED = ("transfer-encoding", "connection", "content-length", "content-encoding")


class ConditionDropper(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "if-none-match"}
        found = requests.request(self.command, sys.argv[2] + self.path, data=body, headers=headers, timeout=30)
        self.send_response(found.status_code)
        for name, value in found.headers.items():
            if name.lower() not in DROPPED:
                self.send_header(name, value)
        length = found.headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(found.content))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(found.content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward  # noqa: N815 - named by http.server


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), ConditionDropper).serve_forever()
