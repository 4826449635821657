"""`mammoloop predict` on a folder of DICOM files and pictures, with an untrained network."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from pipelines.tools import predict
from pipelines.tools.predict import PredictSummary
from pipelines.tools.predict_out import Detector, Overlays
from system.config import resolve
from system.errors import UserError
from system.imaging import encode_png
from system.metrics import FrocConfig
from system.phantom import PhantomConfig, make_exam, write_exam
from system.presets import demo
from system.run.folder import RunFolder
from system.run.results import TrainResult
from system.run.stage import Written
from system.run.systems import System
from tests.pipelines.tools.by_hand import froc_result, infer_result, train_result

SIZE = 64
CONFIG = resolve(demo(), settings=["resources.cluster.address=local"])
Row = dict[str, str]
Found = tuple[Path, PredictSummary]


@pytest.fixture(scope="module")
def checkpoint(untrained: Callable[..., Path]) -> Path:
    """One candidate an image, as large as the view; whole images are not judged."""
    return untrained(classifies=False)


@pytest.fixture(scope="module")
def detector(checkpoint: Path) -> Detector:
    return predict.detector_of(checkpoint, config=CONFIG, candidate_threshold=0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four DICOM views of one patient, a picture that is listed, one that is not, and a letter."""
    folder = tmp_path_factory.mktemp("images")
    write_exam(folder, make_exam(0, 1, PhantomConfig(height_px=96, width_px=80)))
    pixels = np.zeros((90, 60), np.uint16)
    pixels[10:80, :40] = np.random.default_rng(0).integers(1000, 9000, (70, 40))
    (folder / "film.png").write_bytes(encode_png(pixels))
    (folder / "other.png").write_bytes(encode_png(pixels + np.uint16(1)))
    (folder / "dicom" / "letter.txt").write_text("to whom it may concern")
    (folder / "views.csv").write_text("file,study,side,view\nfilm.png,=7,L,MLO\n")
    shutil.rmtree(folder / "masks")
    return folder


def look(folder: Path, out: Path, *, detector: Detector, overlays: Overlays = "found") -> PredictSummary:
    return predict.run(folder, out, detector=detector, layout="views", config=CONFIG, overlays=overlays)


def rows_of(path: Path) -> list[Row]:
    with path.open(encoding="utf8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def found(ray_cluster: Path, folder: Path, detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> Found:
    out = tmp_path_factory.mktemp("predicted")
    return out, look(folder, out, detector=detector)


@pytest.mark.ray
def test_every_file_has_its_line_and_what_was_not_looked_at_has_its_reason(found: Found) -> None:
    out, summary = found
    lines = {row["file"]: row for row in rows_of(out / "images.csv")}
    assert len(lines) == summary.num_files == 7
    assert lines["other.png"]["error"].startswith("view: a PNG or PGM does not say what it shows: list it in views.csv")
    assert lines["dicom/letter.txt"]["error"].startswith("not_dicom")
    assert (lines["film.png"]["side"], lines["film.png"]["view"], lines["film.png"]["partner_id"]) == ("L", "MLO", "")
    assert summary.errors == {"not_dicom": 1, "view": 1}
    assert summary.num_looked_at == summary.num_with_candidates == summary.num_candidates == 5
    assert lines["film.png"]["p_image"] == ""  # the branch was never trained


@pytest.mark.ray
def test_left_and_right_of_one_view_are_partners(found: Found) -> None:
    out, _ = found
    lines = {row["image_id"]: row for row in rows_of(out / "images.csv")}
    dicom = [row for row in lines.values() if row["file"].endswith(".dcm")]
    assert len(dicom) == 4
    for row in dicom:
        other = lines[row["partner_id"]]
        assert (other["view"], other["partner_id"]) == (row["view"], row["image_id"])
        assert other["side"] != row["side"]
    assert all(row["partner_id"] == "" for row in lines.values() if row["error"])


@pytest.mark.ray
def test_candidates_and_coco_are_the_same_in_the_pixels_of_the_files(found: Found) -> None:
    out, _ = found
    coco = json.loads((out / "candidates.coco.json").read_text())
    sizes = {image["id"]: (image["file_name"], image["width"], image["height"]) for image in coco["images"]}
    lines = rows_of(out / "candidates.csv")
    assert len(lines) == len(coco["annotations"]) == 5
    for line, annotation in zip(lines, coco["annotations"], strict=True):
        name, width, height = sizes[annotation["image_id"]]
        x, y, w, h = annotation["bbox"]
        assert (line["file"], float(line["score"])) == (name, annotation["score"])
        assert [float(line[edge]) for edge in ("x0", "y0", "x1", "y1")] == pytest.approx([x, y, x + w, y + h], abs=0.02)
        assert 0 <= x < x + w <= width
        assert h == pytest.approx(height)  # the view's height is the frame's
    assert ("film.png", 60, 90) in sizes.values()


@pytest.mark.ray
def test_pictures_are_of_the_images_with_candidates_and_turned_as_their_files(found: Found, folder: Path) -> None:
    out, _ = found
    lines = rows_of(out / "images.csv")
    assert sorted(path.name for path in (out / "overlays").iterdir()) == sorted(
        row["overlay"].removeprefix("overlays/") for row in lines if row["overlay"]
    )
    right = next(row for row in lines if row["side"] == "R" and row["view"] == "CC")
    picture = np.asarray(Image.open(out / right["overlay"]).convert("L"))
    assert picture.shape == (SIZE, SIZE)
    assert picture[:, -16:].std() > 4 * picture[:, :16].std()  # a right breast's chest wall is on the picture's right


@pytest.mark.ray
def test_the_worklist_has_a_row_a_study_with_its_own_name_the_most_suspicious_first(found: Found, folder: Path) -> None:
    """The DICOM study has four views, the film's study one; a letter and an unlisted picture belong to none."""
    out, _ = found
    rows = rows_of(out / "worklist.csv")
    uid = str(dcmread(next((folder / "dicom").rglob("*.dcm")), stop_before_pixels=True).StudyInstanceUID)
    assert {row["study"] for row in rows} == {uid, "'=7", ""}
    scores = [float(row["score"]) for row in rows[:-1]]
    assert scores == sorted(scores, reverse=True)
    images = {row["image_id"]: row for row in rows_of(out / "images.csv")}
    for row in rows[:-1]:
        first = images[row["image_id"]]
        assert [row[name] for name in ("file", "side", "view", "score")] == [
            first[name] for name in ("file", "side", "view", "score")
        ]
    by_study = {row["study"]: row for row in rows}
    assert (by_study[uid]["num_candidates"], by_study[uid]["num_views"], by_study[uid]["num_unread"]) == ("4", "4", "0")
    assert by_study[uid]["score"] == max(row["score"] for row in images.values() if row["file"].endswith(".dcm"))
    assert (by_study["'=7"]["num_views"], by_study["'=7"]["file"]) == ("1", "film.png")
    assert (rows[-1]["score"], rows[-1]["num_views"], rows[-1]["num_unread"]) == ("", "0", "2")


@pytest.mark.ray
def test_the_worklists_page_has_pictures_with_the_candidates_and_is_for_its_owner(found: Found) -> None:
    out, _ = found
    page = (out / "worklist.html").read_text()
    assert page.count('<img src="data:image/jpeg;base64,') == page.count("<rect x=") == 5
    assert "Research software, not a diagnosis" in page
    assert "2 files could not be read and belong to no study here" in page
    assert "2. " in page
    assert "<script" not in page
    assert "http://" not in page
    assert {(out / name).stat().st_mode & 0o777 for name in ("worklist.csv", "worklist.html")} == {0o600}


@pytest.mark.ray
def test_nothing_is_left_behind_and_candidates_are_never_overwritten(
    found: Found, folder: Path, detector: Detector
) -> None:
    out, _ = found
    assert sorted(path.name for path in out.iterdir()) == [
        "candidates.coco.json",
        "candidates.csv",
        "images.csv",
        "overlays",
        "worklist.csv",
        "worklist.html",
    ]
    with pytest.raises(ValueError, match=r"holds candidates already: choose another folder"):
        look(folder, out, detector=detector)


@pytest.mark.ray
def test_a_predict_that_broke_off_is_started_again_and_infers_nothing_twice(
    found: Found, folder: Path, detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = found

    def broken(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(predict, "write", broken)
        with pytest.raises(OSError, match="no space left"):
            look(folder, tmp_path, detector=detector, overlays="none")
    with monkeypatch.context() as patch:
        patch.setattr(predict.infer, "WatchedPredictor", broken)
        look(folder, tmp_path, detector=detector, overlays="none")
    assert (tmp_path / "candidates.csv").read_bytes() == (whole / "candidates.csv").read_bytes()
    assert not (tmp_path / "overlays").exists()
    assert all(row["overlay"] == "" for row in rows_of(tmp_path / "images.csv"))


@pytest.mark.ray
def test_a_folder_without_a_usable_file_is_refused_with_the_reasons(
    ray_cluster: Path, detector: Detector, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dcm").write_text("x")
    with pytest.raises(ValueError, match=r"none of the 1 files can be used \(1 not_dicom\)"):
        look(tmp_path / "in", tmp_path / "out", detector=detector)


def test_a_folder_of_results_among_the_images_is_refused(folder: Path, detector: Detector) -> None:
    with pytest.raises(ValueError, match="lies inside --images, where it would be taken for images"):
        look(folder, folder / "found", detector=detector)


def evaluated_by(rules: FrocConfig, *, checkpoint: Path, run: Path) -> System:
    """Return a system of a run, with the network of a checkpoint, that was evaluated by these rules."""
    system = RunFolder(run).round(2)

    def train(attempt: Path) -> Written[TrainResult]:
        copies = [attempt / path.name for path in checkpoint.iterdir()]
        for copy in copies:
            copy.write_bytes((checkpoint / copy.name).read_bytes())
        return Written(train_result(), files=copies)

    system.checkpoint.once(train)
    system.held_out.once(lambda _: Written(replace(infer_result([]), flip_average="vertical")))
    system.froc().once(lambda _: Written(froc_result(rules)))
    return system


def test_a_checkpoint_of_a_run_is_read_as_its_run_evaluated_it(checkpoint: Path, tmp_path: Path) -> None:
    rules = FrocConfig(candidate_threshold=0.15, min_candidate_px=8)
    system = evaluated_by(rules, checkpoint=checkpoint, run=tmp_path / "run")
    trained = system.checkpoint.folder
    expected = Detector(system.model, rules, "as run run evaluated it", "vertical")
    assert predict.detector_of(trained, config=CONFIG) == expected
    assert predict.detector_of(expected.model, config=CONFIG) == expected
    given = predict.detector_of(trained, config=CONFIG, candidate_threshold=0.3)
    assert given.rules == rules.changed(candidate_threshold=0.3)


def test_a_run_that_needs_no_threshold_is_read_without_one_unless_one_is_given(
    checkpoint: Path, tmp_path: Path
) -> None:
    rules = FrocConfig(candidates="own_peak", candidate_threshold=0.15)
    system = evaluated_by(rules, checkpoint=checkpoint, run=tmp_path / "run")
    found = predict.detector_of(system.checkpoint.folder, config=CONFIG)
    assert found.in_words() == "each candidate ends at half of its own peak, as run run evaluated it"
    given = predict.detector_of(system.checkpoint.folder, config=CONFIG, candidate_threshold=0.3)
    assert given.in_words() == "candidates begin at probability 0.3, as given"


def test_a_checkpoint_without_a_run_takes_the_configurations_rules_and_a_folder_without_a_model_is_refused(
    checkpoint: Path, tmp_path: Path
) -> None:
    found = predict.detector_of(checkpoint, config=CONFIG)
    assert found.rules == CONFIG.froc
    assert found.flip_average == "none"
    mirroring = CONFIG.changed(infer=CONFIG.infer.changed(flip_average="vertical"))
    assert predict.detector_of(checkpoint, config=mirroring).flip_average == "vertical"
    with pytest.raises(UserError, match=r"no model in .*: expected model\.json and model\.safetensors"):
        predict.detector_of(tmp_path, config=CONFIG)


def test_a_candidate_threshold_that_no_map_is_above_is_refused(checkpoint: Path) -> None:
    with pytest.raises(UserError, match=r"--threshold 1: .* below 1"):
        predict.detector_of(checkpoint, config=CONFIG, candidate_threshold=1.0)
