"""The credentials of a store are in nothing that is raised, logged or printed when the store refuses."""

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from system.archive import Archive, delta
from system.files import bucket
from system.imaging import ImagingConfig
from tests.conftest import free_port, served

SECRET, TOKEN = "Zk3/secret+access+key/9Qw", "session-token-7Hx"
URI = "s3://somebody/archive"


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """Give the address of a store that refuses everything."""
    port = free_port()
    yield from served([sys.executable, str(Path(__file__).parent / "refusing_store.py"), str(port)], port=port)


@pytest.fixture
def refusing(store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Point the environment at a store that refuses everything."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "known",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": TOKEN,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",  # pyarrow would ask Amazon for it
        "AWS_ENDPOINT_URL": store,
        "AWS_ALLOW_HTTP": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        "MAMMOLOOP_SITE_KEY_FILE": str(tmp_path / "site.key"),
    }.items():
        monkeypatch.setenv(name, value)


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
        pytest.param(lambda: delta.current_version(f"{URI}/tables/labels"), id="table"),
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
