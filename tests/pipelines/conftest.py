"""What the tests of the pipelines share: tiny archives, one finished run, and a way to kill a worker."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.config import DemoConfig, resolve
from system.imaging import ImagingConfig
from system.phantom import write_phantom
from system.presets import demo
from system.records import Split, image_key
from system.run.code import code_digest
from system.run.folder import RunFolder
from tests.pipelines.fixture_types import FinishedRun, Killing, MakeArchive
from tests.pipelines.kept_between_sessions import kept

SIZE = 64
"""Rows and columns of the tiny archives' views."""

_PHANTOM = "{height_px: 96, width_px: 96, contrast_low: 0.6, contrast_high: 0.9, diameter_mm_low: 20}"
_TINY = f"""
demo:
  num_exams: 36
  seed: 3
  phantom: {_PHANTOM}
  split: {{strong: 0.4, weak: 0.3, validation: 0.1, test: 0.2}}
ingest: {{imaging: {{height_px: {SIZE}, width_px: {SIZE}}}}}
reports: {{epochs: 1, small: {{hidden_size: 16, num_layers: 1}}}}
strong_share: 1.0
stage1: {{num_epochs: 1, steps_per_epoch: 4, batch_size: 6, precision: fp32}}
net: {{prior: 0.3}}
rounds:
  num_rounds: 1
  control: false
  p0: {{start: 0.55, every_epochs: 1, step: 0.05}}
  train: {{num_epochs: 1, steps_per_epoch: 4, batch_size: 6, precision: fp32}}
froc: {{bootstrap: 20, min_lesion_px: 4, min_candidate_px: 4}}
infer: {{batch_pairs: 4, precision: fp32, refine: {{min_candidate_px: 4, mask_threshold: 0.25}}}}
resources: {{infer: {{decode_cpus: 2.0}}}}
"""
"""A run of the whole loop in a minute, which learns nothing."""

_FINISHED = f"""
demo: {{num_exams: 24, seed: 3, phantom: {_PHANTOM[:-1]}, mass_share: 0.8}}}}
ingest:
  imaging: {{height_px: {SIZE}, width_px: {SIZE}}}
  fixed_key: finished run
  files_per_task: 48
  split: {{strong: 0.4, weak: 0.3, validation: 0.1, test: 0.2}}
reports: {{epochs: 1, num_folds: 2, max_tokens: 48, small: {{hidden_size: 8, num_heads: 2, num_layers: 1}}}}
strong_share: 1.0
stage1: {{num_epochs: 2, steps_per_epoch: 1, batch_size: 4, precision: fp32}}
net: {{prior: 0.3}}
rounds:
  num_rounds: 2
  control: true
  promote: always
  p0: {{start: 0.55, every_epochs: 1, step: 0.05}}
  train: {{num_epochs: 2, steps_per_epoch: 1, batch_size: 4, precision: fp32}}
froc: {{bootstrap: 20, min_lesion_px: 4, min_candidate_px: 4}}
infer: {{batch_pairs: 8, precision: fp32, refine: {{min_candidate_px: 4, mask_threshold: 0.25}}}}
resources:
  train: {{cpus: 1, checkpoint_steps: 0}}
  infer: {{predictor_cpus: 1.0, decode_cpus: 4.0}}
"""
"""The finished run: no step more than it takes to go through every stage. Its maps are near 0.3, so all are masks."""


@pytest.fixture
def tiny_settings(tmp_path: Path) -> Path:
    """Return a file of settings for a run of the whole loop on a few small synthetic exams."""
    path = tmp_path / "tiny.yaml"
    path.write_text(_TINY)
    return path


@pytest.fixture(scope="session")
def finished_run(
    ray_cluster: Path, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FinishedRun]:
    """Return a whole run, done in the session's Ray cluster, or by an earlier session of the same code.

    Read it, never write into it.
    """
    config = resolve(demo(), text=_FINISHED)
    made_by = Path(__file__).read_bytes() + (Path(__file__).parents[2] / "requirements.lock").read_bytes()
    with kept(
        pytestconfig.cache.mkdir("finished_run"),
        digest=f"{code_digest()}-{sha256(made_by).hexdigest()[:16]}",
        make=partial(_finish_a_run, config=config),
        otherwise=tmp_path_factory.mktemp("finished"),
    ) as place:
        yield FinishedRun(RunFolder(place / "run"), str(place / "archive"), config.of_run())


def _finish_a_run(place: Path, *, config: DemoConfig) -> None:
    from pipelines import ingest, selftrain

    exams = config.demo
    write_phantom(place / "phantom", num_exams=exams.num_exams, seed=exams.seed, config=exams.phantom)
    ingest.run(place / "phantom", str(place / "archive"), layout="phantom", config=config.ingest)
    selftrain.run(str(place / "archive"), place / "run", config=config)


@pytest.fixture(scope="session")
def make_archive() -> MakeArchive:
    """Return a maker of archives: both MLO views of each patient, a mass in the left one; no masks of weak patients."""

    def make(folder: Path, patients: Mapping[str, Split]) -> Archive:
        archive = Archive.create(str(folder), imaging=ImagingConfig(height_px=SIZE, width_px=SIZE))
        rng = np.random.default_rng(3)
        rows = [_image_row(archive, name, side, split, rng=rng) for name, split in patients.items() for side in "LR"]
        archive.upsert("images", pa.Table.from_pylist([row for row, _ in rows], schema=SCHEMAS["images"]))
        masks = [mask for row, mask in rows if row["split"] != Split.WEAK]
        archive.upsert("masks", pa.Table.from_pylist(masks, schema=SCHEMAS["masks"]))
        return archive

    return make


def _image_row(
    archive: Archive, patient: str, side: str, split: Split, *, rng: np.random.Generator
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a view's row of `images` and its row of `masks`."""
    pixels = np.zeros((SIZE, SIZE), np.uint16)
    pixels[4:60, :40] = rng.integers(5000, 30000, (56, 40))
    mask = np.zeros((SIZE, SIZE), bool)
    if side == "L":
        mask[20:32, 10:22] = True
        pixels[mask] = 60000
    image_id = f"{patient}{side}"
    image = {
        "image_id": image_id,
        "image_key": image_key(image_id),
        "patient_id": patient,
        "study_id": f"study-{patient}",
        "side": side,
        "view": "MLO",
        "rows": SIZE,
        "cols": SIZE,
        "spacing_mm": 0.0,
        "geometry": "",
        "source": "test",
        "split": str(split),
        "pixel_sha": archive.put_pixels(pixels),
    }
    masked = {
        "image_id": image_id,
        "mask_sha": archive.put_pixels(mask),
        "num_lesions": int(mask.any()),
        "area_px": int(mask.sum()),
    }
    return image, masked


@pytest.fixture(scope="session")
def killing(ray_cluster: Path) -> Killing:
    """Return a context in which the first worker of an actor's class is killed, as the kernel does if memory is short.

    A worker of the session's own cluster: others on the machine are not ours to kill.
    """

    @contextmanager
    def kill(
        actor: str,
        *,
        into: list[int],
        when: Callable[[], bool] = lambda: True,
        after_s: float = 0.0,
        by: signal.Signals = signal.SIGKILL,
    ) -> Iterator[None]:
        """Wait until `when` holds and a process of that name is there, then `after_s` more; `into` gets its id.

        by: SIGSTOP lets it stand still instead
        """
        over = threading.Event()

        def watch() -> None:
            while not into and not over.is_set():
                if when() and (found := _workers(actor, ray_cluster)):
                    time.sleep(after_s)
                    os.kill(found[0], by)
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
    """Return the processes under the cluster's raylet that have worked for the actor, once they are past `__init__`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            title = (folder / "cmdline").read_bytes()
            if actor.encode() in title and title.startswith(b"ray::") and b".__init__" not in title:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                if str(cluster).encode() in Path("/proc", parent, "cmdline").read_bytes():
                    found.append(int(folder.name))
    return found
