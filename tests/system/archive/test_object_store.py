"""The archive in an S3 bucket: moto's server on loopback, with and without conditional put."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import requests

from system.archive import Archive
from system.archive.store import SITE_KEY_VARIABLE
from system.imaging import ImagingConfig

SMALL = ImagingConfig(height_px=64, width_px=48)


PROXY = Path(__file__).with_name("deaf_proxy.py")
PATIENCE_S = 60


@pytest.fixture(scope="module")
def server():
    """An S3 server in a process of its own: deltalake holds the interpreter while it waits for an answer."""
    port = _free_port()
    yield from _served([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port=port)


@pytest.fixture
def deaf_server(server):
    """The same server behind a proxy that drops the condition of a put."""
    port = _free_port()
    yield from _served([sys.executable, str(PROXY), str(port), server], port=port)


def _served(command, *, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert process.poll() is None, "the server did not start"
            assert time.monotonic() < deadline, "the server did not answer"
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def bucket(server, tmp_path, monkeypatch):
    """Make a fresh bucket and point the environment at it."""
    for name, value in _environment(server, tmp_path).items():
        monkeypatch.setenv(name, value)
    name = tmp_path.name.replace("_", "-").lower()
    requests.put(f"{server}/{name}", timeout=10)
    return f"s3://{name}/archive"


def _environment(endpoint, folder):
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        SITE_KEY_VARIABLE: str(folder / "site.key"),
    }


def label(study):
    return pa.table({"study_id": [study], "side": ["L"], "p_mass": [0.5], "model": ["m"], "report_version": [1]})


def test_tables_and_pixels_come_back_from_a_bucket(bucket):
    archive = Archive.create(bucket, imaging=SMALL)
    view = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)

    sha = archive.put_pixels(view)
    archive.upsert("labels", label("a"))
    pinned = Archive.open(bucket).pinned(archive.versions())
    archive.upsert("labels", label("b"))

    np.testing.assert_array_equal(Archive.open(bucket).pixels(sha), view)
    assert pinned.table("labels")["study_id"].to_pylist() == ["a"]
    assert sorted(Archive.open(bucket).table("labels")["study_id"].to_pylist()) == ["a", "b"]


def test_the_site_key_lies_outside_the_bucket_readable_by_its_owner_only(bucket, server, tmp_path):
    archive = Archive.create(bucket, imaging=SMALL)

    listing = requests.get(f"{server}/{bucket.split('/')[2]}?list-type=2", timeout=10).text

    assert "archive/archive.json" in listing
    assert "site.key" not in listing
    assert "probe" not in listing
    assert (tmp_path / "site.key").stat().st_mode & 0o777 == 0o600
    assert archive.identifier("patient", "P1") == Archive.open(bucket).identifier("patient", "P1")


def test_without_a_place_for_the_key_a_bucket_is_refused(bucket, monkeypatch):
    monkeypatch.delenv(SITE_KEY_VARIABLE)

    with pytest.raises(ValueError, match="site key is not kept in a bucket: name its file in MAMMOLOOP_SITE_KEY_FILE"):
        Archive.create(bucket, imaging=SMALL)


def test_a_store_without_conditional_put_is_refused(bucket, deaf_server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", deaf_server)

    with pytest.raises(ValueError, match=r"does not honour If-None-Match \(conditional put\).*use a store that does"):
        Archive.create(bucket, imaging=SMALL)
