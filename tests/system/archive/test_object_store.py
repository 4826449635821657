"""The archive in an S3 bucket: moto's server on loopback, also without conditional put, and behind a faulty proxy."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import requests

from system.archive import Archive
from system.archive.pixels import pixel_sha
from system.archive.store import SITE_KEY_VARIABLE
from system.errors import MachineFault, UserError
from system.files import bucket as objects
from system.files import retries
from system.imaging import ImagingConfig
from tests.conftest import free_port, served

SMALL = ImagingConfig(height_px=64, width_px=32)


def label(study: str) -> pa.Table:
    return pa.table({"study_id": [study], "side": ["L"], "p_mass": [0.5], "model": ["m"], "report_version": [1]})


def test_tables_and_pixels_come_back_from_a_bucket(bucket: str) -> None:
    archive = Archive.create(bucket, imaging=SMALL)
    view = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)

    sha = archive.put_pixels(view)
    archive.upsert("labels", label("a"))
    pinned = Archive.open(bucket).pinned(archive.versions())
    archive.upsert("labels", label("b"))

    np.testing.assert_array_equal(Archive.open(bucket).pixels(sha), view)
    assert pinned.table("labels")["study_id"].to_pylist() == ["a"]
    assert sorted(Archive.open(bucket).table("labels")["study_id"].to_pylist()) == ["a", "b"]


def test_the_site_key_lies_outside_the_bucket_readable_by_its_owner_only(
    bucket: str, server: str, tmp_path: Path
) -> None:
    archive = Archive.create(bucket, imaging=SMALL)

    listing = requests.get(f"{server}/{bucket.split('/')[2]}?list-type=2", timeout=10).text

    assert "archive/archive.json" in listing
    assert "site.key" not in listing
    assert "probe" not in listing
    assert (tmp_path / "site.key").stat().st_mode & 0o777 == 0o600
    assert archive.identifier("patient", "P1") == Archive.open(bucket).identifier("patient", "P1")


def test_without_a_place_for_the_key_a_bucket_is_refused(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SITE_KEY_VARIABLE)

    with pytest.raises(UserError, match="site key is not kept in a bucket: name its file in MAMMOLOOP_SITE_KEY_FILE"):
        Archive.create(bucket, imaging=SMALL)


def test_a_store_without_conditional_put_is_refused(
    bucket: str, deaf_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", deaf_server)

    with pytest.raises(UserError, match=r"does not honour If-None-Match \(conditional put\).*use a store that does"):
        Archive.create(bucket, imaging=SMALL)


FAULTY_PROXY = Path(__file__).parent / "faulty_proxy.py"
VIEW = np.arange(64 * 32, dtype=np.uint16).reshape(64, 32)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that says what the faulty server does next."""
    return tmp_path_factory.mktemp("faulty") / "plan"


@pytest.fixture(scope="module")
def faulty_server(server: str, plan: Path) -> Iterator[str]:
    """The same server behind a proxy that fails as planned."""
    port = free_port()
    yield from served([sys.executable, str(FAULTY_PROXY), str(port), server, str(plan)], port=port)


@pytest.fixture
def faults(
    bucket: str, faulty_server: str, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], object]]:
    """Make an archive with a row and a view, and give what plans the server's next faults."""
    archive = Archive.create(bucket, imaging=SMALL)
    archive.upsert("labels", label("a"))
    archive.put_pixels(VIEW)
    objects.put_new(bucket, "note", b"kept")
    monkeypatch.setenv("AWS_ENDPOINT_URL", faulty_server)
    yield plan.write_text
    plan.unlink(missing_ok=True)


DEEDS: dict[str, Callable[[str], object]] = {
    "pixels read": lambda uri: Archive.open(uri).pixels(pixel_sha(VIEW)),
    "pixels written": lambda uri: Archive.open(uri).put_pixels(VIEW + 1),
    "table read": lambda uri: Archive.open(uri).table("labels"),
    "table written": lambda uri: Archive.open(uri).upsert("labels", label("b")),
    "object read": lambda uri: objects.get(uri, "note"),
    "object written": lambda uri: objects.put_new(uri, "new", b"new"),
    "objects listed": objects.names,
}
WITHOUT_A_BODY = ("object written", "cut")
REFUSALS = {
    "denied": "(the storage does not permit it|the store does not accept the credentials)",
    "expired": "(the storage does not permit it|the store does not accept the credentials)",
}


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("fault", REFUSALS)
def test_a_store_that_refuses_is_the_machines_fault_and_afterwards_the_same_is_done(
    bucket: str, faults: Callable[[str], object], deed: str, fault: str
) -> None:
    faults(f"{fault} 1000000")
    with pytest.raises(MachineFault, match=rf"{REFUSALS[fault]}.*, then start the same command again"):
        DEEDS[deed](bucket)

    faults("")
    DEEDS[deed](bucket)


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("fault", ["busy", "broken", "cut"])
def test_a_store_that_fails_for_a_moment_is_asked_again(
    bucket: str, faults: Callable[[str], object], plan: Path, deed: str, fault: str
) -> None:
    if (deed, fault) == WITHOUT_A_BODY:
        pytest.skip("its answer has no body that could be cut")
    faults(f"{fault} 2")
    DEEDS[deed](bucket)
    assert plan.read_text() == f"{fault} 0"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clients of the store give up after two more tries, and us after one."""
    monkeypatch.setattr(retries, "NUM_ATTEMPTS", 2)
    monkeypatch.setattr(objects, "NUM_RETRIES", 2)
    monkeypatch.setattr(objects, "FIRST_WAIT_S", 0.05)
    monkeypatch.setitem(objects.DELTA_OPTIONS, "max_retries", "2")
    monkeypatch.setitem(objects.DELTA_OPTIONS, "backoff_config.init_backoff", "50ms")


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("fault", ["busy", "cut"])
def test_a_store_that_goes_on_failing_is_the_machines_fault(
    bucket: str, faults: Callable[[str], object], deed: str, fault: str
) -> None:
    if (deed, fault) == WITHOUT_A_BODY:
        pytest.skip("its answer has no body that could be cut")
    faults(f"{fault} 1000000")
    with pytest.raises(MachineFault, match=r"(the store fails, or is asked too often|does not answer) "):
        DEEDS[deed](bucket)


@pytest.mark.slow
def test_a_store_that_is_not_there_is_the_machines_fault(
    bucket: str, faults: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(MachineFault, match="the storage or the network does not answer"):
        Archive.open(bucket)
