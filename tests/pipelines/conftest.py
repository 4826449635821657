"""What the tests of the pipelines share: a tiny archive, and a hand that kills a worker."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.imaging import ImagingConfig
from system.records import Split, image_key

SIZE = 64
"""Rows and columns of the tiny archive's views."""

MakeArchive = Callable[[Path, Mapping[str, Split]], Archive]
Killing = Callable[..., AbstractContextManager[None]]


@pytest.fixture(scope="session")
def make_archive() -> MakeArchive:
    """Return a maker of archives: the MLO views of these women, with a mass in each left breast; masks but for the weak."""

    def make(folder: Path, women: Mapping[str, Split]) -> Archive:
        archive = Archive.create(str(folder), imaging=ImagingConfig(height_px=SIZE, width_px=SIZE))
        rng = np.random.default_rng(3)
        rows = [_image_row(archive, name, side, split, rng=rng) for name, split in women.items() for side in "LR"]
        archive.upsert("images", pa.Table.from_pylist([row for row, _ in rows], schema=SCHEMAS["images"]))
        masks = [mask for row, mask in rows if row["split"] != Split.WEAK]
        archive.upsert("masks", pa.Table.from_pylist(masks, schema=SCHEMAS["masks"]))
        return archive

    return make


def _image_row(
    archive: Archive, patient: str, side: str, split: Split, *, rng: np.random.Generator
) -> tuple[dict[str, Any], dict[str, Any]]:
    pixels = np.zeros((SIZE, SIZE), np.uint16)
    pixels[4:60, :40] = rng.integers(5000, 30000, (56, 40))
    mask = np.zeros((SIZE, SIZE), bool)
    if side == "L":
        mask[20:32, 10:22] = True
        pixels[mask] = 60000
    image_id = f"{patient}{side}"
    row = {"image_id": image_id, "image_key": image_key(image_id), "patient_id": patient, "study_id": f"study-{patient}", "side": side}
    row |= {"view": "MLO", "rows": SIZE, "cols": SIZE, "spacing_mm": 0.0, "geometry": "", "source": "test", "split": str(split)}
    masked = {"image_id": image_id, "mask_sha": archive.put_pixels(mask), "num_lesions": int(mask.any()), "area_px": int(mask.sum())}
    return row | {"pixel_sha": archive.put_pixels(pixels)}, masked


@pytest.fixture(scope="session")
def killing(ray_cluster: Path) -> Killing:
    """Return a context in which the first worker of an actor's class is killed, as the kernel does when memory is short.

    A worker of the session's own cluster: others on the machine are not ours to kill.
    """

    @contextmanager
    def kill(actor: str, *, into: list[int], when: Callable[[], bool] = lambda: True, after_s: float = 0.0) -> Iterator[None]:
        """Wait until `when` holds and a process of that name is there, then `after_s` more; `into` gets the process's id."""
        over = threading.Event()

        def watch() -> None:
            while not into and not over.is_set():
                if when() and (found := _workers(actor, ray_cluster)):
                    time.sleep(after_s)
                    os.kill(found[0], signal.SIGKILL)
                    into.append(found[0])
                time.sleep(0.02)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    return kill


def _workers(actor: str, cluster: Path) -> list[int]:
    """Return the processes under the cluster's raylet that have worked for the actor, once they are past its `__init__`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            title = (folder / "cmdline").read_bytes()
            if actor.encode() in title and title.startswith(b"ray::") and b".__init__" not in title:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                if str(cluster).encode() in Path("/proc", parent, "cmdline").read_bytes():
                    found.append(int(folder.name))
    return found
