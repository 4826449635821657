"""Both thresholds of a model, from the maps of its validation images."""

import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.config import RunConfig
from system.evaluation.thresholds import choose_thresholds
from system.imaging import ImagingConfig, encode_png
from system.metrics import FrocConfig
from system.records import image_key
from system.run.results import InferResult, Thresholds
from system.run.stage import Stage
from tests.pipelines.tools.by_hand import infer_by_hand

LARGE = 256
FROC = FrocConfig(min_lesion_px=4, min_candidate_px=4, candidate_threshold=0.03, fppi=(1.0,))


Source = tuple[Archive, Stage[InferResult]]


def images_to_validate_on(folder: Path, *, num_images: int, size: int) -> Source:
    """Return an archive and predictions of images to validate on, each with a mass at .3 in a halo below .1."""
    archive = Archive.create(str(folder / "archive"), imaging=ImagingConfig(height_px=size, width_px=size))
    truth = np.zeros((size, size), dtype=bool)
    truth[size // 4 : size // 2, size // 4 : size // 2] = True
    names = [f"i{number}" for number in range(num_images)]
    facts = {"patient_id": "p", "rows": size, "cols": size, "split": "validation"}
    archive.upsert("images", pa.Table.from_pylist([{"image_id": n} | facts for n in names], schema=SCHEMAS["images"]))
    sha = archive.put_pixels(truth)
    masks = [{"image_id": name, "mask_sha": sha} for name in names]
    archive.upsert("masks", pa.Table.from_pylist(masks, schema=SCHEMAS["masks"]))
    png = encode_png((np.where(truth[::4, ::4], 0.3, 0.1) * 65535).astype(np.uint16))
    predicted = {"peak": 0.3, "p_image": 0.5, "error": None, "map_png": png}
    stage = Stage(folder / "run", "held_out", InferResult)
    infer_by_hand(stage, [{"image_id": name, "image_key": image_key(name)} | predicted for name in names])
    return archive.pinned(archive.versions()), stage


@pytest.fixture
def one_faint_mass(tmp_path: Path) -> Source:
    return images_to_validate_on(tmp_path, num_images=1, size=64)


def choose(source: Source, *, froc: FrocConfig) -> Thresholds:
    archive, held_out = source
    stage = Stage(held_out.run, "thresholds", Thresholds)
    return choose_thresholds(held_out, archive=archive, config=RunConfig(froc=froc), stage=stage)


def test_both_thresholds_are_chosen_where_the_mass_stands_out(one_faint_mass: Source) -> None:
    chosen = choose(one_faint_mass, froc=FROC)
    assert (chosen.mask_threshold, chosen.candidate_threshold) == (0.25, 0.1)
    assert "best lesion F1 1.000" in chosen.mask_reason
    assert "best mean sensitivity 1.000" in chosen.candidate_reason


def test_own_peak_candidates_need_no_threshold_and_none_is_chosen(one_faint_mass: Source) -> None:
    chosen = choose(one_faint_mass, froc=FROC.changed(candidates="own_peak"))
    assert (chosen.mask_threshold, chosen.candidate_threshold) == (0.25, 0.03)
    assert (
        chosen.candidate_reason
        == "set in froc.candidate_threshold, not used: each candidate ends at half of its own peak"
    )


def test_candidates_of_the_mask_need_no_threshold_either(one_faint_mass: Source) -> None:
    chosen = choose(one_faint_mass, froc=FROC.changed(regions="mask"))
    assert chosen.candidate_reason.endswith("not used: the components of the mask are the candidates")


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    def peak_bytes(num_images: int) -> int:
        source = images_to_validate_on(tmp_path / str(num_images), num_images=num_images, size=LARGE)
        tracemalloc.start()
        choose(source, froc=FROC)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    map_bytes = 4 * LARGE**2
    assert peak_bytes(24) - peak_bytes(4) < 4 * map_bytes  # of 20 more
