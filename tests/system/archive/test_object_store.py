"""The archive in an S3 bucket: moto's server on loopback, with and without conditional put."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import requests

from system.archive import Archive
from system.archive.store import SITE_KEY_VARIABLE
from system.errors import UserError
from system.imaging import ImagingConfig

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
