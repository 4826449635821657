"""The credentials of a store are in nothing that is raised, logged or printed when the store refuses."""

import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from system.archive import Archive, delta
from system.files import bucket
from system.imaging import ImagingConfig

SECRET, TOKEN = "Zk3/secret+access+key/9Qw", "session-token-7Hx"
URI = "s3://somebody/archive"


class Quiet(ThreadingHTTPServer):
    """Says nothing of clients that hang up."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Refusing(BaseHTTPRequestHandler):
    """Answers 403, as a store does for credentials that it does not know, and gives the request's headers back."""

    protocol_version = "HTTP/1.1"

    def refuse(self) -> None:
        text = f"<Error><Code>InvalidAccessKeyId</Code><Message>{self.headers['Authorization']}</Message></Error>"
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(403)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = refuse  # noqa: N815 - named by http.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
        pass


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Point the environment at a store that refuses everything."""
    with Quiet(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "known",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_SESSION_TOKEN": TOKEN,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",  # pyarrow would ask Amazon for it
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
            "MAMMOLOOP_SITE_KEY_FILE": str(tmp_path / "site.key"),
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setitem(bucket.DELTA_OPTIONS, "max_retries", "2")  # it need not ask for a minute
        monkeypatch.setitem(bucket.DELTA_OPTIONS, "backoff_config.init_backoff", "50ms")
        yield
        server.shutdown()


def failure_of(use: Callable[[], object]) -> BaseException | None:
    try:
        use()
    except Exception as error:
        return error
    return None


def texts_of(error: BaseException | None) -> Iterator[str]:
    """Give what a traceback shows of an error and of all that it came from."""
    while error:
        yield f"{error!r} {error}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda: bucket.put_new(URI, "a", b"a"), id="put"),
        pytest.param(lambda: bucket.get(URI, "a"), id="get"),
        pytest.param(lambda: bucket.names(URI), id="list"),
        pytest.param(
            lambda: delta.current_version(f"{URI}/tables/labels"),
            id="table",
            marks=pytest.mark.slow,  # deltalake tries for three minutes
        ),
        pytest.param(lambda: Archive.open(URI), id="open"),
        pytest.param(lambda: Archive.create(URI, imaging=ImagingConfig(height_px=64, width_px=64)), id="create"),
    ],
)
def test_no_error_or_log_line_of_a_store_that_refuses_holds_its_credentials(
    refusing: None, use: Callable[[], object], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    told = list(texts_of(failure_of(use)))
    assert told
    printed = capfd.readouterr()
    written = "".join([*told, caplog.text, printed.out, printed.err])
    assert SECRET not in written
    assert TOKEN not in written
