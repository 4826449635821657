"""`mammoloop evaluate` on a run put together by hand: two patients to test, one for validation."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.selftrain import evaluate_on
from pipelines.tools import evaluate_run as breakdown
from system.archive import Archive
from system.config import resolve
from system.errors import NotFinished, UserError
from system.imaging import ImagingConfig, encode_png
from system.metrics.subgroups import GroupRow
from system.presets import demo
from system.records import Split, image_key
from system.run.folder import RunFolder
from system.run.results import Thresholds
from system.run.stage import Written
from tests.pipelines.tools.by_hand import fill, infer_by_hand

ROWS = COLS = 64
SPACING_MM = 0.5
IMAGES = {  # view, density, split, lesion's size in px, found
    "i0": ("CC", "b", "test", 16, True),
    "i1": ("MLO", "b", "test", 48, False),
    "i2": ("CC", "", "test", 0, False),
    "i3": ("MLO", "", "validation", 16, True),
}
PATIENTS = {"i0": "p0", "i1": "p0", "i2": "p1", "i3": "p2"}


def square(size: int) -> np.ndarray:
    drawn = np.zeros((ROWS, COLS), bool)
    drawn[4 : 4 + size, 4 : 4 + size] = True
    return drawn


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    archive = Archive.create(str(tmp_path / "archive"), imaging=ImagingConfig(height_px=ROWS, width_px=COLS))
    images = [
        {
            "image_id": name,
            "patient_id": PATIENTS[name],
            "view": view,
            "density": density,
            "split": split,
            "source": "made",
        }
        | {"rows": ROWS, "cols": COLS, "spacing_mm": SPACING_MM}
        | {"pixel_sha": archive.put_pixels(square(size).astype(np.uint16) * 30000 + 10000)}
        for name, (view, density, split, size, _) in IMAGES.items()
    ]
    masks = [{"image_id": name, "mask_sha": archive.put_pixels(square(size))} for name, (*_, size, _) in IMAGES.items()]
    fill(archive, images=images, masks=masks)
    folder = RunFolder(tmp_path / "run")
    with folder.claimed(
        resolve(
            demo(),
            settings=[
                "froc.bootstrap=20",
                "froc.candidates=threshold",
                "froc.min_lesion_px=4",
                "froc.min_candidate_px=4",
            ],
        )
    ):
        folder.pin(archive.uri)
    rows = [
        {
            "image_id": name,
            "image_key": image_key(name),
            "p_image": 0.1 + 0.8 * found,
            "peak": 0.9 * found,
            "error": None,
        }
        | {"map_png": encode_png((square(size)[::4, ::4] * found * 60000).astype(np.uint16))}
        for name, (*_, size, found) in IMAGES.items()
    ]
    infer_by_hand(folder.stage1.held_out, rows)
    folder.stage1.thresholds.once(lambda _: Written(Thresholds(0.5, "by hand", 0.2, "by hand")))
    return folder


@pytest.fixture
def measured(run: RunFolder) -> RunFolder:
    """The run after its own evaluation on test."""
    evaluate_on(run.stage1, Split.TEST, archive=run.archive(), config=run.config())
    return run


def groups_of(found: breakdown.RunMeasures) -> dict[str, GroupRow]:
    return {f"{row.kind} {row.name}": row for row in found.systems["supervised"].groups}


def test_each_part_is_counted_alone(measured: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    groups = groups_of(breakdown.run(measured.path, split="test"))
    shown = capsys.readouterr().out
    assert list(groups) == [
        *("view CC", "view MLO", "density b", "density not known", "source made"),
        *("lesion size from 20 mm", "lesion size under 10 mm"),
    ]
    counted = {name: (row.num_images, row.num_lesions, row.mean) for name, row in groups.items()}
    assert counted["view CC"] == (2, 1, 1.0)
    assert counted["view MLO"] == (1, 1, 0.0)
    assert counted["density b"] == (2, 2, 0.5)
    assert counted["lesion size under 10 mm"] == (3, 1, 1.0)
    assert counted["lesion size from 20 mm"] == (3, 1, 0.0)
    assert "lesion size: under 10 mm" in shown
    assert "CorLoc" in shown
    assert "auroc, classification branch" in shown
    assert "auroc gain" not in shown  # there is no second system: a row of dashes is left out


def test_image_level_measures_are_given_for_both_scores(measured: RunFolder) -> None:
    found = breakdown.run(measured.path, split="test").systems["supervised"]
    assert np.isnan(found.gains["p_image"].auroc)  # it is what others are compared with
    assert found.result.image_level["p_image"].auroc == 0.75
    assert found.result.corloc == 0.5
    assert 0.3 < found.result.dice < 0.5  # one of two masses covered but for the map's coarse edge


def test_another_split_is_evaluated_when_it_is_asked_for_and_everything_is_written(
    measured: RunFolder, tmp_path: Path
) -> None:
    breakdown.run(measured.path, split="validation", json_file=tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf8"))
    system = written["systems"]["supervised"]
    assert (written["split"], system["result"]["counts"]["num_images"]) == ("validation", 1)
    assert system["headline"]["mean"] == 1.0
    assert system["gains"]["p_image"] == {"auroc": None, "interval": [None, None]}
    assert measured.stage1.froc(Split.VALIDATION).finished


def test_a_finished_run_is_evaluated_by_other_rules_beside_its_own(
    measured: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    own = measured.stage1.froc().path("froc.json").read_bytes()
    found = breakdown.run(measured.path, split="test", settings=["froc.candidates=own_peak", "froc.iou=0.1"])
    assert "at or above 0.5 of its own peak" in " ".join(capsys.readouterr().out.split())
    rules = found.systems["supervised"].result.rules
    assert (rules.candidates, rules.iou) == ("own_peak", 0.1)
    assert measured.stage1.froc().path("froc.json").read_bytes() == own
    assert breakdown.run(measured.path, split="test").systems["supervised"].result.rules.candidates == "threshold"


def test_a_finished_run_is_evaluated_by_the_masks_of_its_maps(measured: RunFolder) -> None:
    found = breakdown.run(measured.path, split="test", settings=["froc.regions=mask"]).systems["supervised"]
    assert (found.result.rules.regions, found.result.counts.num_tp, found.result.sweep.mean) == ("mask", 1, 0.5)


def test_other_rules_keep_the_threshold_that_was_chosen_for_the_system_unless_it_is_given(measured: RunFolder) -> None:
    def threshold(*settings: str) -> float:
        found = breakdown.run(measured.path, split="test", settings=settings)
        return found.systems["supervised"].result.rules.candidate_threshold

    assert threshold("froc.iou=0.1") == 0.2  # of the thresholds stage
    assert threshold("froc.candidate_threshold=0.4") == 0.4


def test_a_run_of_own_peak_candidates_gets_a_threshold_when_it_is_asked_for_one(run: RunFolder) -> None:
    config = run.config()
    (run.path / "config.yaml").unlink()
    with run.claimed(config.changed(froc=config.froc.changed(candidates="own_peak"))):
        evaluate_on(run.stage1, Split.TEST, archive=run.archive(), config=run.config())
    found = breakdown.run(run.path, split="test", settings=["froc.candidates=threshold"])
    assert found.systems["supervised"].result.rules.candidate_threshold == 0.02  # the lowest of equals, on validation


def test_nothing_but_rules_can_be_changed_for_a_finished_run(measured: RunFolder) -> None:
    with pytest.raises(UserError, match=r"other rules alone, froc.KEY=VALUE, found seed: 0, now 3"):
        breakdown.run(measured.path, split="test", settings=["seed=3"])


def test_a_run_that_measured_nothing_yet_is_refused(run: RunFolder) -> None:
    with pytest.raises(NotFinished, match="run has no system that is trained and measured yet"):
        breakdown.run(run.path, split="test")
