"""TensorBoard's view of how good a run's systems are: measures of each evaluation, and pictures of validation images.

They lie beside the system's training curves, at the step at which its training ended, so that stages follow each other
on one axis.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from pipelines.workers.events import EventFile
from system.archive import Archive
from system.evaluation.maps_of_run import held_out_images
from system.faults import storage
from system.figures.overlays import Picture, with_map
from system.records import Split
from system.run.folder import RunFolder
from system.run.results import FrocResult
from system.run.stage import Stage
from system.run.systems import System
from system.training.epoch_scalars import MEAN_SENSITIVITY

NUM_PICTURES = 4  # validation images with a mass, the same ones of every system
HEIGHT_PX = 256


@contextmanager
def following(stage: Stage[FrocResult], system: System, *, archive: Archive) -> Iterator[None]:
    """Add an evaluation's measures, and of validation the pictures, if the block finishes its stage.

    archive: pinned to the run's versions
    """
    before = stage.finished
    yield
    if not before and stage.finished:
        add(stage, system, archive=archive)


def add(stage: Stage[FrocResult], system: System, *, archive: Archive) -> None:
    """Write a finished evaluation's measures, and of validation the pictures, as a file of events."""
    run, trained = RunFolder(system.run.resolve()), system.checkpoint
    result = stage.result()
    step = run.steps_before(trained.name) + trained.result().num_steps
    folder = run.tensorboard(trained.name)
    with storage(folder):
        file = EventFile(folder)
        file.write(measure_scalars(result), step=step)
        if result.split == Split.VALIDATION:
            file.draw(
                {f"validation/image_{n}": each for n, each in enumerate(_pictures(system, archive), 1)}, step=step
            )
        file.close()


def measure_scalars(result: FrocResult) -> dict[str, float]:
    """Return an evaluation's numbers by tag; what could not be measured is left out."""
    split, sweep = result.split, result.sweep
    found = {f"{split}/{MEAN_SENSITIVITY}": sweep.mean, f"{split}/dice": result.dice, f"{split}/corloc": result.corloc}
    found |= {f"{split}/sensitivity_at_{fppi}_fppi": value for fppi, value in sweep.sensitivity.items()}
    found |= {f"{split}/auroc_{score}": measures.auroc for score, measures in result.image_level.items()}
    return {tag: value for tag, value in found.items() if not math.isnan(value)}


def _pictures(system: System, archive: Archive) -> Iterator[Picture]:
    """Give the first validation images with a mass: the map over the image, the mass outlined."""
    images = held_out_images(system.held_out, archive=archive, split=Split.VALIDATION)
    for image in islice((each for each in images if each.truth.any()), NUM_PICTURES):
        pixels = archive.pixels(image.pixel_sha)
        yield with_map(pixels, image.truth, image.probability, height_px=HEIGHT_PX, ceiling=1.0)
