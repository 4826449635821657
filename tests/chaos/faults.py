"""What can go wrong beside signals: a disk that is full, and an S3 store that fails.

The disk is a tmpfs of few MB mounted where the command works; the store is moto's server behind a proxy that fails on
demand.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from tests.chaos.schedule import Fault

AMPLE_MIB = 4096  # a tmpfs takes no more than what lies in it
_TRIES = 100  # to make a disk smaller that is written to meanwhile
PAGE_BYTES = 4096
START_LIMIT_S = 60
SECRET = "chaos-secret-access-key"
FEW = 4  # answers that are cut, or 412
SLOW_S = 3.0
FORWARD_LIMIT_S = 60
_OF_ONE_HOP = ("transfer-encoding", "connection", "content-length", "expect")  # RFC 9110, 7.6.1
_DROPPED = (*_OF_ONE_HOP, "content-encoding")


class Disk:
    """A file system of its own at one folder, whose room can be taken away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def mounted(self) -> Iterator["Disk"]:
        """Mount it, empty and with ample room; it is gone with all that is in it at the end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={AMPLE_MIB}m", "tmpfs", str(self.folder)],
            check=True,
            capture_output=True,
        )
        try:
            yield self
        finally:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True, capture_output=True)

    def leave_room(self, room_bytes: int) -> None:
        """Let it hold so much more than it holds now."""
        for last in (*[False] * (_TRIES - 1), True):
            found = os.statvfs(self.folder)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            try:
                self._remount(f"{max(used + room_bytes, used + PAGE_BYTES) // 1024}k")
            except subprocess.CalledProcessError:  # more was written since
                if last:
                    raise
            else:
                return

    def leave_ample_room(self) -> None:
        """Let it hold all that a command writes."""
        self._remount(f"{AMPLE_MIB}m")

    def _remount(self, size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.folder)], check=True, capture_output=True)


def unmount_all(folder: Path) -> None:
    """Unmount what a run that was killed left mounted below a folder."""
    for path in folder.rglob("*"):
        if path.is_mount():
            subprocess.run(["umount", "--lazy", str(path)], check=True, capture_output=True)


def can_mount(folder: Path) -> bool:
    """Return whether a file system can be mounted here: only root may, and not in every container."""
    try:
        with Disk(folder).mounted():
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def size_of(folder: Path) -> int:
    """Return the bytes that a folder's files take, in whole pages."""
    sizes = (path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return sum(-(-size // PAGE_BYTES) * PAGE_BYTES for size in sizes)


@dataclass
class Trouble:
    """What the proxy does now; shared by the threads that answer."""

    fault: Fault | None = None
    left: int = 0  # answers still to be spoiled; -1 = all
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, fault: Fault) -> None:
        """Spoil all answers (503, slow) or the next few (cut, 412)."""
        with self.lock:
            self.fault, self.left = fault, FEW if fault in {"cut", "412"} else -1

    def end(self) -> None:
        """Let all answers pass."""
        with self.lock:
            self.fault, self.left = None, 0

    def takes(self, method: str, headers: Mapping[str, str]) -> Fault | None:
        """Return the fault that befalls a request, None where it passes."""
        with self.lock:
            wanted = {"cut": method == "GET", "412": method == "PUT" and "If-None-Match" in headers}
            if self.fault is None or not self.left or not wanted.get(self.fault, True):
                return None
            self.left -= self.left > 0
            return self.fault


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, server: str, trouble: Trouble) -> None:
        super().__init__(("127.0.0.1", 0), _Forwarder)
        self.server, self.trouble = server, trouble

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that was killed in the middle of a request is what this is for."""


class _Forwarder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any  # _Proxy

    def forward(self) -> None:
        fault = self.server.trouble.takes(self.command, self.headers)
        body = self.body()
        if fault == "503":
            self.answer(503, {}, b"<Error><Code>SlowDown</Code></Error>")
            return
        if fault == "slow":
            time.sleep(SLOW_S)
        url = self.server.server + self.path
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_HOP}
        found = requests.request(self.command, url, data=body, headers=headers, timeout=FORWARD_LIMIT_S)
        if fault == "412":  # it was written, and its answer lost: what the client's second try would get
            self.answer(412, {}, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        self.answer(found.status_code, found.headers, found.content, cut=fault == "cut")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward  # noqa: N815 - named by http.server

    def body(self) -> bytes:
        """Return the request's body, which Arrow sends in chunks (RFC 9112, 7.1)."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return b"".join(parts)

    def answer(self, status: int, headers: Mapping[str, str], body: bytes, *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _DROPPED:
                self.send_header(name, value)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
        """Log nothing."""


@dataclass(frozen=True)
class Store:
    """An S3 server with one bucket, and the proxy through which the product sees it."""

    server: str  # http://127.0.0.1:port
    proxy: str
    trouble: Trouble
    bucket: str = "chaos"

    @property
    def direct(self) -> dict[str, str]:
        """The variables by which the server itself is reached."""
        return _variables(self.server)

    @property
    def through_the_proxy(self) -> dict[str, str]:
        """The variables by which the product reaches it."""
        return _variables(self.proxy)

    def objects(self) -> dict[str, bytes]:
        """Return every object but the empty ones by which Arrow marks folders."""
        client = self._client()
        names = [name for name in self._names(client) if not name.endswith("/")]
        return {name: client.get_object(Bucket=self.bucket, Key=name)["Body"].read() for name in names}

    def replace_by(self, objects: Mapping[str, bytes]) -> None:
        """Let the bucket hold these objects and no others."""
        client = self._client()
        for name in self._names(client):
            client.delete_object(Bucket=self.bucket, Key=name)
        for name, data in objects.items():
            client.put_object(Bucket=self.bucket, Key=name, Body=data)

    def _names(self, client: Any) -> list[str]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def _client(self) -> Any:
        import boto3  # comes with moto

        keys = {"aws_access_key_id": "test", "aws_secret_access_key": SECRET}
        return boto3.client("s3", endpoint_url=self.server, region_name="us-east-1", **keys)


def _variables(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def serve() -> Iterator[Store]:
    """Run server and proxy on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server, trouble = f"http://127.0.0.1:{port}", Trouble()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    proxy = _Proxy(server, trouble)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        store = Store(server, f"http://127.0.0.1:{proxy.server_port}", trouble)
        _make_bucket(store, process)
        yield store
    finally:
        proxy.shutdown()
        proxy.server_close()
        process.kill()
        process.wait()


def _make_bucket(store: Store, process: "subprocess.Popen[bytes]") -> None:
    deadline_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        with suppress(requests.ConnectionError):
            requests.put(f"{store.server}/{store.bucket}", timeout=10).raise_for_status()
            return
        time.sleep(0.2)
    raise RuntimeError("the S3 server of the tests did not start: is moto[server] installed?")
