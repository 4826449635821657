"""The mean sensitivity on validation, by hand, with a method whose map is the picture itself, brought to stride 4."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn
from torch.nn import functional

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.errors import UserError
from system.imaging import ImagingConfig
from system.methods import Method
from system.metrics import FrocConfig
from system.records import Split, image_key
from system.training.validation import BATCH_PAIRS, Validation, validation_of

SIZE = 64
FROC = FrocConfig(fppi=(0.1, 0.2, 0.5, 1.0))
Spots = Mapping[tuple[int, int], float]
"""Row and column of a bright square of 16 x 16 px -> its brightness, 0 to 1."""


class Mirror:
    """A method whose probability is the brightness of the picture."""

    def __init__(self) -> None:
        self.modes: list[bool] = []

    def predict(self, model: nn.Module, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        self.modes.append(model.training)
        assert len(left) == len(right) == BATCH_PAIRS
        maps = [torch.logit(functional.avg_pool2d(view, 4), eps=1e-6) for view in (left, right)]
        nothing = torch.full((len(left),), float("nan"))
        return maps[0], maps[1], nothing, nothing


def picture(spots: Spots) -> np.ndarray:
    drawn = np.zeros((SIZE, SIZE), np.float64)
    for (row, column), brightness in spots.items():
        drawn[row : row + 16, column : column + 16] = brightness
    return np.rint(drawn * 65535).astype(np.uint16)


def archive_of(folder: Path, views: Mapping[str, tuple[Spots, Spots]], *, split: Split = Split.VALIDATION) -> Archive:
    """Make an archive: patient, side and perhaps a number -> what the view shows, and where its masses are."""
    archive = Archive.create(str(folder), imaging=ImagingConfig(height_px=SIZE, width_px=SIZE))
    images, masks = [], []
    for name, (spots, truth) in views.items():
        *patient, side = name.rstrip("0123456789")
        facts = {"image_id": name, "image_key": image_key(name)}
        facts |= dict.fromkeys(("patient_id", "study_id"), "".join(patient))
        facts |= {"side": side, "view": "MLO", "split": str(split), "pixel_sha": archive.put_pixels(picture(spots))}
        images.append(facts)
        mask = picture(truth) > 0
        masks.append({"image_id": name, "mask_sha": archive.put_pixels(mask), "num_lesions": len(truth), "area_px": 1})
    archive.upsert("images", pa.Table.from_pylist(images, schema=SCHEMAS["images"]))
    archive.upsert("masks", pa.Table.from_pylist(masks, schema=SCHEMAS["masks"]))
    return archive


def measured(validation: Validation, *, method: Mirror | None = None, model: nn.Module | None = None) -> float:
    return validation.mean(
        cast(Method, method or Mirror()), model or nn.Identity(), device=torch.device("cpu"), dtype=torch.float32
    )


def whole(archive: Archive, *, froc: FrocConfig = FROC) -> Validation:
    return validation_of(archive, froc=froc, rank=0, num_workers=1)


HERE, THERE = (8, 8), (40, 40)
FOUND, FREE = ({HERE: 0.6}, {HERE: 1.0}), ({}, {})
FAINT = {HERE: 0.2}, {HERE: 1.0}
WRONG = {THERE: 0.9}, {}


def test_lesions_found_before_any_false_positive_are_all_sensitivity_there_is(tmp_path: Path) -> None:
    """However faint, since no threshold is chosen."""
    archive = archive_of(tmp_path / "archive", {"aL": FOUND, "aR": FREE, "bL": FAINT, "bR": FREE})
    assert measured(whole(archive)) == 1.0


def test_a_false_positive_above_the_lesions_costs_the_operating_points_below_its_rate(tmp_path: Path) -> None:
    """One of 4 images: from .25 false positives per image on both lesions are found, that is at .5 and 1."""
    archive = archive_of(tmp_path / "archive", {"aL": FOUND, "aR": WRONG, "bL": FAINT, "bR": FREE})
    assert measured(whole(archive)) == pytest.approx((0 + 0 + 1 + 1) / 4)


def test_a_missed_lesion_counts_and_a_candidate_beside_it_is_no_hit(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "archive", {"aL": FOUND, "bL": ({THERE: 0.5}, {HERE: 1.0}), "bR": FREE})
    assert measured(whole(archive)) == pytest.approx(0.5)


def test_a_missing_breast_is_no_image(tmp_path: Path) -> None:
    """With two images the false positive is at .5 per image, with one more it would be at 1/3 and cost less."""
    single = archive_of(tmp_path / "archive", {"aL": FOUND, "bR": WRONG})
    assert measured(whole(single, froc=FROC.changed(fppi=(0.4,)))) == 0.0
    more = archive_of(tmp_path / "more", {"aL": FOUND, "bR": WRONG, "bL": FREE})
    assert measured(whole(more, froc=FROC.changed(fppi=(0.4,)))) == 1.0


def test_a_view_taken_twice_is_measured_twice(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "archive", {"aL1": FOUND, "aL2": ({}, {HERE: 1.0}), "aR": FREE})
    assert len(whole(archive).pairs) == 2
    assert measured(whole(archive)) == pytest.approx(0.5)


def test_more_pairs_than_a_batch_are_all_measured(tmp_path: Path) -> None:
    views = {f"{number}L": FOUND if number % 2 else ({}, {HERE: 1.0}) for number in range(2 * BATCH_PAIRS + 2)}
    assert measured(whole(archive_of(tmp_path / "archive", views))) == pytest.approx(0.5)


def test_without_a_lesion_there_is_no_number(tmp_path: Path) -> None:
    assert np.isnan(measured(whole(archive_of(tmp_path / "free", {"aL": WRONG, "aR": FREE}))))


def test_an_archive_without_validation_images_is_refused_with_the_way_out(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "test", {"aL": FOUND}, split=Split.TEST)
    with pytest.raises(
        UserError, match=r"validation images are wanted, by patience_epochs .* none: set it to 0 in stage1"
    ):
        whole(archive)


def test_every_pair_is_measured_by_one_worker(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "archive", {f"{number}L": FOUND for number in range(5)})
    alone = validation_of(archive, froc=FROC, rank=0, num_workers=1)
    shares = [validation_of(archive, froc=FROC, rank=rank, num_workers=2) for rank in (0, 1)]
    assert [len(share.pairs) for share in shares] == [3, 2]
    assert {*shares[0].pairs, *shares[1].pairs} == set(alone.pairs)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_measured_in_eval_mode_and_left_as_it_was(tmp_path: Path, training: bool) -> None:
    method, model = Mirror(), nn.Identity().train(training)
    measured(whole(archive_of(tmp_path / "archive", {"aL": FOUND})), method=method, model=model)
    assert (method.modes, model.training) == ([False], training)


class ByItsNorm(Mirror):
    """A method whose probability is the brightness times the norm's running variance."""

    def predict(self, model: nn.Module, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        (variance,) = (buffer for name, buffer in model.named_buffers() if name == "running_var")
        return super().predict(model, left * variance, right * variance)


def measure_as_one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    model = nn.BatchNorm2d(1)
    assert model.running_var is not None
    model.running_var.fill_(1.0 - rank)  # with that of rank 1 nothing is found
    validation = validation_of(Archive.open(f"{folder}/archive"), froc=FROC, rank=rank, num_workers=2)
    mean = measured(validation, method=ByItsNorm(), model=model)
    Path(folder, f"{rank}.txt").write_text(f"{len(validation.pairs)} pairs {mean}")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_all_workers_measure_the_first_ones_model_on_all_images(tmp_path: Path) -> None:
    views = {f"{number}L": FOUND for number in range(3)} | {"3L": ({}, {HERE: 1.0}), "4L": ({}, {HERE: 1.0})}
    alone = measured(whole(archive_of(tmp_path / "archive", views)))
    assert alone == pytest.approx(3 / 5)
    spawn(measure_as_one_of_two, (str(tmp_path),), nprocs=2)
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in (0, 1)] == [f"3 pairs {alone}", f"2 pairs {alone}"]
