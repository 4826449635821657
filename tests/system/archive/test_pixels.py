"""The content-addressed pixel store."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from pyarrow import fs

from system.archive.pixels import PixelStore, pixel_sha
from system.errors import UserError
from system.imaging import encode_png

VIEW = np.arange(12, dtype=np.uint16).reshape(3, 4)


@pytest.fixture
def store(tmp_path: Path) -> PixelStore:
    return PixelStore(fs.LocalFileSystem(), str(tmp_path))


def test_a_file_lies_where_its_sha_says(store: PixelStore, tmp_path: Path) -> None:
    sha = store.put(VIEW)

    assert sha == hashlib.sha256(b"<u2 [3, 4] " + VIEW.tobytes()).hexdigest()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")] == [f"{sha[:2]}/{sha}.png"]


def test_a_mask_is_kept_as_zero_and_255(store: PixelStore) -> None:
    assert store.get(store.put(VIEW > 5)).tolist() == [[0] * 4, [0, 0, 255, 255], [255] * 4]


def test_the_same_numbers_in_another_shape_or_type_are_other_pixels() -> None:
    assert len({pixel_sha(VIEW), pixel_sha(VIEW.reshape(4, 3)), pixel_sha(VIEW.astype(np.uint8))}) == 3


def test_storing_twice_leaves_the_first_file_alone(store: PixelStore, tmp_path: Path) -> None:
    sha = store.put(VIEW)
    path = tmp_path / sha[:2] / f"{sha}.png"
    os.utime(path, (1, 1))

    store.put(VIEW)

    assert path.stat().st_mtime == 1


@pytest.mark.parametrize(
    "content", [encode_png(VIEW + np.uint16(1)), b"", encode_png(VIEW)[:-30]], ids=["other", "empty", "cut off"]
)
def test_a_file_that_does_not_hold_what_its_name_says_is_refused(
    store: PixelStore, tmp_path: Path, content: bytes
) -> None:
    sha = store.put(VIEW)
    (tmp_path / sha[:2] / f"{sha}.png").write_bytes(content)

    with pytest.raises(UserError, match="the file is damaged"):
        store.get(sha)


def test_absent_pixels_are_a_missing_file(store: PixelStore) -> None:
    with pytest.raises(FileNotFoundError):
        store.get("0" * 64)
