"""The faults do what they are called: a full disk, and a proxy that spoils the answers of a server."""

import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from tests.chaos.faults import FEW, Disk, Trouble, _Proxy, can_mount, size_of, unmount_all

BODY = b"0123456789"


class Plain(BaseHTTPRequestHandler):
    """A store of one object, which counts what was put."""

    puts = 0
    body = b""  # of the last put

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def do_PUT(self) -> None:
        Plain.puts += 1
        Plain.body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
        pass


@pytest.fixture
def trouble() -> Trouble:
    return Trouble()


@pytest.fixture
def address(trouble: Trouble) -> Iterator[str]:
    """The address of a proxy before a server."""
    Plain.puts = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Plain) as server:
        with _Proxy(f"http://127.0.0.1:{server.server_port}", trouble) as proxy:
            for each in (server, proxy):
                threading.Thread(target=each.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{proxy.server_port}/object"
            proxy.shutdown()
        server.shutdown()


def put(address: str, *, condition: bool) -> int:
    headers = {"If-None-Match": "*"} if condition else {}
    return requests.put(address, data=b"x", headers=headers, timeout=10).status_code


def test_without_a_fault_all_passes(address: str) -> None:
    assert requests.get(address, timeout=10).content == BODY
    assert put(address, condition=True) == 200


def test_a_body_sent_in_chunks_arrives_whole(address: str) -> None:
    assert requests.put(address, data=iter([b"01234", b"", b"5", b"6789"]), timeout=10).status_code == 200
    assert Plain.body == BODY


def test_503_is_all_that_is_answered_until_it_ends(address: str, trouble: Trouble) -> None:
    trouble.begin("503")
    assert {requests.get(address, timeout=10).status_code for _ in range(FEW + 2)} == {503}
    assert put(address, condition=True) == 503
    assert Plain.puts == 0
    trouble.end()
    assert requests.get(address, timeout=10).status_code == 200


def test_412_answers_a_few_conditional_puts_that_were_done(address: str, trouble: Trouble) -> None:
    trouble.begin("412")
    assert put(address, condition=False) == 200
    assert [put(address, condition=True) for _ in range(FEW + 1)] == [412] * FEW + [200]
    assert Plain.puts == FEW + 2


def test_a_few_bodies_are_cut_in_half(address: str, trouble: Trouble) -> None:
    trouble.begin("cut")
    for _ in range(FEW):
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            requests.get(address, timeout=10)
    assert requests.get(address, timeout=10).content == BODY


def test_a_disk_holds_what_it_has_room_for_and_no_more(tmp_path: Path) -> None:
    if not can_mount(tmp_path / "probe"):
        pytest.skip("file systems cannot be mounted here")
    with Disk(tmp_path / "disk").mounted() as disk:
        (disk.folder / "before").write_bytes(bytes(100_000))
        disk.leave_room(50_000)
        (disk.folder / "fits").write_bytes(bytes(30_000))
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            (disk.folder / "does not").write_bytes(bytes(60_000))
        disk.leave_ample_room()
        (disk.folder / "does not").write_bytes(bytes(60_000))
        assert size_of(disk.folder) == 4096 * (25 + 8 + 15)
    assert list((tmp_path / "disk").iterdir()) == []


def test_a_disk_that_a_killed_run_left_mounted_is_found(tmp_path: Path) -> None:
    if not can_mount(tmp_path / "probe"):
        pytest.skip("file systems cannot be mounted here")
    disk = tmp_path / "work/folder/now"
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=True)
    unmount_all(tmp_path / "work")
    assert not disk.is_mount()
