"""`mammoloop explain` on a run put together by hand: held-out, weak and annotated images."""

import json
import math
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.selftrain import evaluate_on
from pipelines.tools import explain
from system.archive import Archive
from system.config import resolve
from system.errors import UserError
from system.evaluation.explain_image import explain_image
from system.figures.overlays import OUTCOME_COLOURS, TRUTH_COLOUR
from system.imaging import ImagingConfig
from system.maps import encode_map
from system.presets import demo
from system.records import Quadrant, Split, image_key
from system.run.folder import RunFolder
from system.run.results import Thresholds
from system.run.stage import Written
from tests.pipelines.fixture_types import FinishedRun
from tests.pipelines.tools.by_hand import Row, fill, infer_by_hand, mine_by_hand

SIZE, STRIDE = 64, 4
CANDIDATE_THRESHOLD, MASK_THRESHOLD = 0.45, 0.25
SPLITS = {
    "held out": Split.TEST,
    "damaged": Split.TEST,
    "to choose by": Split.VALIDATION,
    "strong": Split.STRONG,
} | dict.fromkeys(
    ("agreed", "left out", "overruled", "outlined", "unlabelled", "unreadable", "disputed", "missed"), Split.WEAK
)
P_MASS = {"agreed": 0.85, "overruled": 0.97, "outlined": 0.97, "unlabelled": None, "disputed": 0.04, "missed": 0.97}
MASKED = {"agreed": True, "overruled": False, "outlined": True, "unlabelled": True, "disputed": True, "missed": False}


def lesions() -> np.ndarray:
    """A mass of 16 x 32 px, one of 16 x 16 px, and a single pixel, which is too small to count."""
    drawn = np.zeros((SIZE, SIZE), bool)
    drawn[8:24, 8:40] = drawn[44:60, 4:20] = drawn[62, 62] = True
    return drawn


def four_candidates() -> np.ndarray:
    """A map of four blocks, each of 4 x 3 cells.

    Cut at 0.45 after it was brought up, a block of 0.9 is 16 x 12 px but for 1 px at each corner; of 0.8 and 0.75, but
    for 3 px at each corner; of 0.6 it is 14 x 10 px.
    """
    cells = np.zeros((SIZE // STRIDE, SIZE // STRIDE), np.float32)
    cells[2:6, 2:5] = 0.9  # in the first mass: its pixels are rows 8 to 24, columns 8 to 20
    cells[2:6, 7:10] = 0.8  # in it once more, columns 28 to 40
    cells[11:15, 4:7] = 0.75  # at the edge of the second: columns 16 to 28, of which it has four
    cells[11:15, 11:14] = 0.6  # beside both
    return cells


IOU_FOUND = (16 * 12 - 4) / (16 * 32)
IOU_AGAIN = (16 * 12 - 12) / (16 * 32)
IOU_TOO_LITTLE = (16 * 4 - 6) / (16 * 16 + 16 * 12 - 12 - (16 * 4 - 6))


def image_rows(archive: Archive) -> list[Row]:
    pixels = np.random.default_rng(0).integers(1000, 30000, (SIZE, SIZE)).astype(np.uint16)
    sha = archive.put_pixels(pixels)
    fixed = {"view": "CC", "side": "L", "rows": SIZE, "cols": SIZE, "spacing_mm": 0.5, "source": "made"}
    return [
        fixed
        | {"image_id": name, "image_key": image_key(name), "patient_id": f"patient of {name}", "pixel_sha": sha}
        | {"study_id": f"study of {name}", "split": str(split), "density": "b"}
        for name, split in SPLITS.items()
    ]


def held_out_rows() -> list[Row]:
    seen = {"p_image": 0.9, "peak": 0.9, "map_png": encode_map(four_candidates(), bits=16), "error": None}
    return [
        {"image_id": "held out", "image_key": image_key("held out")} | seen,
        {"image_id": "to choose by", "image_key": image_key("to choose by")} | seen,
        {"image_id": "damaged", "image_key": image_key("damaged"), "error": "left breast: pixels_damaged"},
    ]


def weak_rows() -> list[Row]:
    seen = [
        {"image_id": name, "image_key": image_key(name), "score": 0.8 * masked, "mask_area_px": 64 * masked}
        for name, masked in MASKED.items()
    ]
    unreadable = {"image_id": "unreadable", "image_key": image_key("unreadable"), "error": "left breast: timeout"}
    return [*seen, unreadable]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A measured Stage 1, and a first round in which one image is TP from the second p0 on."""
    folder = tmp_path_factory.mktemp("explain")
    archive = Archive.create(str(folder / "archive"), imaging=ImagingConfig(height_px=SIZE, width_px=SIZE))
    drawn = {"mask_sha": archive.put_pixels(lesions()), "num_lesions": 3, "area_px": int(lesions().sum())}
    report = {"study_id": "study of agreed", "version": 1, "status": "final", "language": "en", "source": "made"}
    fill(
        archive,
        images=image_rows(archive),
        masks=[{"image_id": name} | drawn for name in ("held out", "to choose by", "damaged")],
        labels=[
            {"study_id": f"study of {name}", "side": "L", "p_mass": p_mass, "model": "m", "report_version": 1}
            for name, p_mass in P_MASS.items()
        ],
        reports=[
            report
            | {"description": "Both breasts are dense.", "impression": "Left: a mass [seen before]. Right: no mass."}
        ],
    )
    run = RunFolder(folder / "run")
    rules = "froc={bootstrap: 10, min_lesion_px: 4, min_candidate_px: 4, candidates: threshold}"
    config = resolve(demo(), settings=[rules])
    with run.claimed(config):
        run.pin(archive.uri)
    infer_by_hand(run.stage1.held_out, held_out_rows())
    thresholds = Thresholds(MASK_THRESHOLD, "by hand", CANDIDATE_THRESHOLD, "by hand")
    run.stage1.thresholds.once(lambda _: Written(thresholds))
    evaluate_on(run.stage1, Split.TEST, archive=run.archive(), config=run.config())
    infer_by_hand(run.round(1).predictions, weak_rows())
    agreed = {"image_key": image_key("agreed"), "image_id": "agreed", "p_mass": 0.85, "score": 0.8, "disputed": False}
    disputed, missed = (
        {"image_key": image_key(name), "image_id": name, "p_mass": P_MASS[name], "quadrant": quadrant, "score": score}
        | {"disputed": name == "disputed"}
        for name, quadrant, score in (("disputed", Quadrant.FP, 0.9), ("missed", Quadrant.FN, 0.0))
    )
    mine_by_hand(
        run.round(1).pools,
        {0.85: [], 0.75: [agreed | {"quadrant": Quadrant.TP}, disputed, missed]},
        outlined=[{"image_key": image_key("outlined"), "mask_sha": drawn["mask_sha"]}],
    )
    # After the run was pinned.
    verdicts = [{"image_id": "overruled", "verdict": "no mass", "reader": "R1", "at": "2026-02-01T00:00:00+00:00"}]
    verdicts += [{"image_id": "overruled", "verdict": "unsure", "reader": "R1", "at": "2026-01-01T00:00:00+00:00"}]
    fill(archive, verdicts=verdicts)
    return run


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed, without line breaks and the tables' lines."""
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


def picture_of(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def holds(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((picture == colour).all(axis=-1).any())


def test_each_candidate_of_a_held_out_image_has_its_outcome_and_reason(run: RunFolder) -> None:
    (system,) = explain.run(run.path, "held out").systems
    facts = (system.title, system.candidate_threshold, system.mask_threshold, system.min_iou, system.min_candidate_px)
    assert facts == ("supervised", CANDIDATE_THRESHOLD, MASK_THRESHOLD, 0.2, 4)
    found = system.candidates
    assert [(each.outcome, each.nearest_lesion) for each in found] == [
        ("TP", 0),
        ("duplicate", 0),
        ("FP", 1),
        ("FP", -1),
    ]
    assert [each.score for each in found] == pytest.approx([0.9, 0.8, 0.75, 0.6], abs=1e-4)
    assert [each.iou for each in found] == pytest.approx([IOU_FOUND, IOU_AGAIN, IOU_TOO_LITTLE, 0.0])
    assert [each.area_px for each in found] == [16 * 12 - 4, 16 * 12 - 12, 16 * 12 - 12, 14 * 10]
    assert found[0].box_px == (8, 8, 20, 24)
    assert found[3].box_px == (45, 45, 55, 59)
    assert [(each.lesion, each.area_px) for each in system.lesions] == [(0, 16 * 32), (1, 16 * 16)]
    assert system.lesions[0].found_at == pytest.approx(0.9, abs=1e-4)
    assert math.isnan(system.lesions[1].found_at)


def test_the_tables_of_a_held_out_image_name_thresholds_reasons_and_lesions(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    explain.run(run.path, "held out")
    printed = shown(capsys)
    assert "breast and view L CC" in printed
    assert "split test" in printed
    assert "p_mass by the report –" in printed
    assert "report on this breast no report" in printed
    assert "supervised: candidates from 0.45 on, of at least 4 px; masks from 0.25 on" in printed
    assert "0.900 TP finds lesion 0: IoU 0.367 is above 0.2 8 8 20 24 188" in printed
    assert "0.800 duplicate IoU 0.352 with lesion 0, which another candidate had found 28 8 40 24 180" in printed
    assert "0.750 FP IoU 0.153 with lesion 1: a hit needs more than 0.2 16 44 28 60 180" in printed
    assert "0.600 FP touches no lesion 45 45 55 59 140" in printed
    assert "lesion 0, 512 px: found at 0.900" in printed
    assert "lesion 1, 256 px: missed" in printed
    assert "1 more annotated, of fewer than 4 px: too small to count" in printed


def test_the_picture_has_the_truth_and_the_colour_of_each_outcome(run: RunFolder) -> None:
    explain.run(run.path, "held out")
    picture, scale = picture_of(run.path / "explain" / "held out.png"), explain.PICTURE_HEIGHT_PX // SIZE
    assert picture.shape == (SIZE * scale, SIZE * scale, 3)
    assert holds(picture, TRUTH_COLOUR)
    boxes = {"TP": (8, 16), "duplicate": (28, 16), "FP": (45, 52)}  # left edge, and a row on the way down
    for outcome, (left, row) in boxes.items():
        assert (picture[row * scale : row * scale + 9, left * scale - 1] == OUTCOME_COLOURS[outcome]).all()


def test_everything_is_written_where_it_is_asked_for(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, json_file = tmp_path / "new" / "picture.png", tmp_path / "out.json"
    explain.run(run.path, "held out", picture=picture, json_file=json_file)
    assert f"picture: {picture}\n" in capsys.readouterr().out
    assert picture_of(picture).shape == (640, 640, 3)
    written = json.loads(json_file.read_text(encoding="utf8"))
    assert (written["image"]["image_id"], written["image"]["p_mass"], written["rounds"]) == ("held out", None, [])
    (system,) = written["systems"]
    assert [found["outcome"] for found in system["candidates"]] == ["TP", "duplicate", "FP", "FP"]
    assert system["candidates"][2]["why"] == "IoU 0.153 with lesion 1: a hit needs more than 0.2"
    assert [lesion["found_at"] for lesion in system["lesions"]] == [pytest.approx(0.9, abs=1e-4), None]


def test_a_held_out_image_that_could_not_be_read_is_named_so(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    (system,) = explain.run(run.path, "damaged").systems
    assert (system.error, system.candidates) == (True, ())
    assert "– none the image could not be read" in shown(capsys)


def test_a_validation_image_is_evaluated_first(run: RunFolder) -> None:
    (system,) = explain.run(run.path, "to choose by").systems
    assert [found.outcome for found in system.candidates] == ["TP", "duplicate", "FP", "FP"]
    assert run.stage1.froc(Split.VALIDATION).finished


def test_a_weak_image_is_followed_through_the_steps_of_a_round(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    found = explain.run(run.path, "agreed")
    (this,) = found.rounds
    assert (this.number, this.model, this.mask_threshold) == (1, "supervised", MASK_THRESHOLD)
    assert (this.has_mask, this.error, this.outlined) == (True, "", False)
    # p_mass is p0 at the first step, and not above it
    assert [(pool.step, pool.p0, pool.report, pool.quadrant, pool.trains) for pool in this.pools] == [
        (1, 0.85, "not sure enough", "UNUSED", False),
        (2, 0.75, "mass", "TP", True),
    ]
    printed = shown(capsys)
    assert "report on this breast Left: a mass [seen before]" in printed
    assert "round 1, seen by supervised (masks from 0.25 on): score 0.800, a mask" in printed
    assert "0.85 0.850 not sure enough UNUSED no" in printed
    assert "0.75 0.850 mass TP yes" in printed
    picture = picture_of(run.path / "explain" / "agreed.png")
    assert not any(holds(picture, colour) for colour in (TRUTH_COLOUR, OUTCOME_COLOURS["TP"], OUTCOME_COLOURS["FP"]))


@pytest.mark.parametrize(("disputed", "fn_in_batch"), [("train", None), ("review", 0.0), ("review", 0.25)])
def test_an_image_in_the_pool_that_the_rounds_settings_leave_out_does_not_train(
    run: RunFolder, disputed: str, fn_in_batch: float | None
) -> None:
    config = resolve(run.config(), text=f"rounds: {{disputed: {disputed}, fn_in_batch: {json.dumps(fn_in_batch)}}}")
    found = {
        name: explain_image(run, name, archive=run.archive(), config=config).rounds[0].pools[1]
        for name in ("agreed", "disputed", "missed")
    }
    assert [(pool.quadrant, pool.disputed) for pool in found.values()] == [("TP", False), ("FP", True), ("FN", False)]
    assert [pool.trains for pool in found.values()] == [True, disputed == "train", fn_in_batch != 0]


def test_a_disputed_image_is_shown_as_such(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    explain.run(run.path, "disputed")
    assert "0.75 0.040 no mass FP, disputed" in shown(capsys)


def test_a_weak_image_that_the_run_left_out_is_named_so(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    (this,) = explain.run(run.path, "left out").rounds
    assert this.pools == ()
    assert "it was not among the weak images of this run" in shown(capsys)


def test_a_weak_image_that_could_not_be_read_has_its_reason(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    (this,) = explain.run(run.path, "unreadable").rounds
    assert (this.error, this.pools) == ("left breast: timeout", ())
    assert "left breast: timeout" in shown(capsys)


def test_an_image_whose_label_was_replaced_is_not_explained_by_the_old_one(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    found = explain.run(run.path, "overruled")  # 0.97 and no mask: it would be FN
    assert found.image.verdicts == ("unsure", "no mass")
    for pool in found.rounds[0].pools:
        assert (pool.report, pool.quadrant, pool.trains) == (
            "replaced by a later report or a verdict",
            "TN or UNUSED",
            False,
        )
        assert math.isnan(pool.p_mass)
    printed = shown(capsys)
    assert "verdicts unsure, no mass" in printed
    assert "0.85 – replaced by a later report or a verdict TN or UNUSED no" in printed


def test_an_outlined_image_trains_as_an_annotated_one(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    (this,) = explain.run(run.path, "outlined").rounds
    assert this.outlined
    assert "a radiologist outlined a mass in it: from this round on it trains as an annotated image" in shown(capsys)


def test_an_image_without_a_label_is_unused(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    (this,) = explain.run(run.path, "unlabelled").rounds
    assert {(pool.report, pool.quadrant, pool.trains) for pool in this.pools} == {("no label", "UNUSED", False)}
    assert "0.85 – no label UNUSED no" in shown(capsys)


def test_an_annotated_image_is_not_inferred(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    found = explain.run(run.path, "strong")
    assert (found.systems, found.rounds) == ((), ())
    assert "an image of split strong is not inferred: it trains as it is annotated" in shown(capsys)
    assert (run.path / "explain" / "strong.png").exists()


@pytest.mark.parametrize(
    ("image_id", "reason"),
    [
        ("held out", "the run has no system yet that is trained and measured"),
        ("agreed", "the run has no round yet whose pools are frozen"),
    ],
)
def test_a_run_that_has_not_come_so_far_has_nothing_to_show(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], image_id: str, reason: str
) -> None:
    begun = RunFolder(tmp_path / "begun")
    with begun.claimed(run.config()):
        begun.pin(run.archive().uri)
    found = explain.run(begun.path, image_id)
    assert (found.systems, found.rounds) == ((), ())
    assert reason in shown(capsys)


def test_an_image_that_the_archive_does_not_have_is_refused(run: RunFolder) -> None:
    with pytest.raises(UserError, match=r"the archive of run run has no image 'nobody': take an image_id from"):
        explain.run(run.path, "nobody")


@pytest.mark.ray
def test_the_images_of_a_whole_run_add_up_to_its_pools(finished_run: FinishedRun) -> None:
    folder, archive = finished_run.folder, finished_run.folder.archive()
    images = archive.table("images", columns=["image_id", "split"]).to_pylist()
    weak = [row["image_id"] for row in images if row["split"] == Split.WEAK]
    explained = [explain_image(folder, name, archive=archive, config=finished_run.config) for name in weak]
    for place, this in enumerate(folder.rounds()):
        for pool in this.pools.result().pools:
            counts = asdict(pool.counts)
            answers = [each.rounds[place].pools[pool.step - 1] for each in explained]
            assert sum(answer.disputed for answer in answers) == counts.pop("disputed")
            found = Counter(answer.quadrant for answer in answers)
            assert found == +Counter({name.upper(): count for name, count in counts.items()})


@pytest.mark.ray
def test_a_held_out_image_of_a_whole_run_is_explained_for_every_system(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    folder = finished_run.folder
    first = next(row for row in folder.archive().table("images").to_pylist() if row["split"] == Split.TEST)
    found = explain.run(folder.path, first["image_id"], picture=tmp_path / "picture.png")
    assert [system.title for system in found.systems] == [system.title for system in folder.systems()]
    assert picture_of(tmp_path / "picture.png").shape[0] == explain.PICTURE_HEIGHT_PX
