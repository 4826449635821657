"""`mammoloop review` on a run put together by hand: the queue, and how verdicts come into the archive."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.tools import review, review_import
from system.archive import Archive
from system.config import RunConfig
from system.errors import NotFinished, UserError
from system.imaging import encode_png
from system.mining import outlined_by_radiologists, verdicts_of
from system.records import Split, image_key
from system.review import QueueConfig
from system.run.folder import RunFolder
from tests.pipelines.fixture_types import MakeArchive
from tests.pipelines.tools.by_hand import fill, infer_by_hand

SIZE = 64
SPLITS = dict.fromkeys("abcdefgh", Split.WEAK) | {"t": Split.TEST}


@pytest.fixture
def archive(tmp_path: Path, make_archive: MakeArchive) -> Archive:
    archive = make_archive(tmp_path / "archive", SPLITS)
    rows = [
        {
            "study_id": f"study-{name}",
            "side": side,
            "p_mass": 0.97 if side == "L" else 0.03,
            "model": "m",
            "report_version": 1,
        }
        for name in SPLITS
        for side in "LR"
    ]
    fill(archive, labels=rows)
    return archive


@pytest.fixture
def run(tmp_path: Path, archive: Archive) -> RunFolder:
    """A run whose first round is inferred: a mass in every left breast, but a's views cannot be read."""
    run = RunFolder(tmp_path / "run")
    with run.claimed(RunConfig()):
        run.pin(archive.uri)
    rng = np.random.default_rng(0)
    candidate = {"box_px": [10, 20, 22, 32], "score": 0.8, "area_px": 100, "centroid_px": [16.0, 26.0]}
    rows = []
    for name, split in SPLITS.items():
        for side in "LR" if split is Split.WEAK else "":
            masked, identity = side == "L", f"{name}{side}"
            fact = {
                "image_key": image_key(identity),
                "image_id": identity,
                "study_id": f"study-{name}",
                "side": side,
                "view": "MLO",
            }
            fact |= {
                "score": 0.8 if masked else 0.0,
                "entropy": float(rng.random()),
                "candidates": json.dumps([candidate] if masked else []),
            }
            png = encode_png(np.full((16, 16), 128, np.uint8)) if masked else None
            fact |= {
                "mask_area_px": 100 if masked else 0,
                "map_png": png,
                "error": "left breast: pixels_damaged" if name == "a" else None,
            }
            rows.append(fact)
    infer_by_hand(run.round(1).predictions, rows, num_files=2)
    return run


def export(run: RunFolder, out: Path, *, size: int = 100) -> dict[str, int]:
    return review.export(run.path, 1, out, config=QueueConfig(size=size, random_share=0.25))


def lines_of(out: Path) -> list[dict[str, str]]:
    with (out / "queue.csv").open(encoding="utf8", newline="") as file:
        return list(csv.DictReader(file))


def fill_in(out: Path, **verdicts: str | tuple[str | int, ...]) -> Path:
    """Write verdicts, by image: alone, or with the box of a mass."""
    lines = lines_of(out)
    for line in lines:
        if found := verdicts.get(line["image_id"]):
            columns = ("verdict", "x0", "y0", "x1", "y1")
            line.update(zip(columns, map(str, found if isinstance(found, tuple) else (found,)), strict=False))
    with (out / "queue.csv").open("w", encoding="utf8", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys())
        writer.writeheader()
        writer.writerows(lines)
    return out / "queue.csv"


def test_the_queue_holds_pictures_overlays_and_a_line_for_every_readable_weak_image(
    run: RunFolder, tmp_path: Path
) -> None:
    out = tmp_path / "review"
    why = export(run, out)
    lines = lines_of(out)
    assert sum(why.values()) == len(lines) == 14
    assert why["random"] == round(0.25 * 14)
    assert {line["image_id"] for line in lines} == {f"{name}{side}" for name in "bcdefgh" for side in "LR"}
    coco = json.loads((out / "candidates.coco.json").read_text())
    assert len(coco["annotations"]) == 7
    assert {(image["width"], image["height"]) for image in coco["images"]} == {(SIZE, SIZE)}
    for line in lines:
        assert np.asarray(Image.open(out / line["picture"])).shape == (SIZE, SIZE)
        assert (out / line["picture"].replace("pictures", "overlays")).exists()
    with pytest.raises(UserError, match="holds a queue, perhaps filled in"):
        export(run, out)


def test_maps_that_are_surer_of_a_mass_than_half_of_the_agreeing_ones_come_first_against_their_report(
    run: RunFolder, tmp_path: Path
) -> None:
    """Left breasts have a report of a mass, right ones of none; agreeing maps score .4, .5 and .6."""
    scores = {"bL": 0.4, "cL": 0.5, "dL": 0.6, "bR": 0.5, "cR": 0.55, "dR": 0.9, "eR": 0.2}
    png = encode_png(np.full((16, 16), 128, np.uint8))
    rows = [
        {"image_id": name, "image_key": image_key(name), "study_id": f"study-{name[0]}", "side": name[1]}
        | {"view": "MLO", "score": score, "entropy": 0.5, "candidates": "[]", "mask_area_px": 100, "map_png": png}
        for name, score in scores.items()
    ]
    infer_by_hand(run.round(2).predictions, rows)
    why = review.export(run.path, 2, tmp_path / "review", config=QueueConfig(random_share=0))
    assert why["disputed"] == 2
    first = [(line["image_id"], line["why"]) for line in lines_of(tmp_path / "review")][:2]
    assert first == [("dR", "disputed"), ("cR", "disputed")]


def test_verdicts_go_into_the_archive_and_their_images_are_not_shown_again(
    run: RunFolder, archive: Archive, tmp_path: Path
) -> None:
    out = tmp_path / "review"
    export(run, out)
    sheet = fill_in(out, bL=("mass", 10, 20, 22, 32), cL="no mass", dR="unsure", eL="mass")
    taken = review_import.take_in(sheet, archive.uri, reader="R1")
    assert (taken.verdicts, taken.num_outlined) == ({"mass": 2, "no mass": 1, "unsure": 1}, 1)
    rows = {row["image_id"]: row for row in archive.table("verdicts").to_pylist()}
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "bL": "mass",
        "cL": "no mass",
        "dR": "unsure",
        "eL": "mass",
    }
    assert {row["reader"] for row in rows.values()} == {"R1"}
    assert rows["bL"]["why"] in {"disagreement", "near p0", "entropy", "random"}
    mask = archive.pixels(rows["bL"]["mask_sha"]) > 0
    assert mask[26, 16]
    assert not mask[:20].any()
    updates = verdicts_of(archive.table("verdicts"), archive.table("images"), round_number=2)
    assert dict(zip(updates.keys.tolist(), updates.masked.tolist(), strict=True))[image_key("bL")]
    assert outlined_by_radiologists(archive.table("verdicts"), archive.table("images"))["image_key"].to_pylist() == [
        image_key("bL")
    ]
    export(run, tmp_path / "second")
    assert not {line["image_id"] for line in lines_of(tmp_path / "second")} & set(rows)


def test_the_same_sheet_again_changes_nothing(run: RunFolder, archive: Archive, tmp_path: Path) -> None:
    export(run, tmp_path / "review")
    sheet = fill_in(tmp_path / "review", cL="no mass")
    review_import.take_in(sheet, archive.uri, reader="R1")
    version = archive.version("verdicts")
    review_import.take_in(sheet, archive.uri, reader="R1")
    assert archive.version("verdicts") == version
    assert archive.table("verdicts").num_rows == 1


def test_a_radiologists_polygons_outline_the_mass_and_the_networks_own_boxes_do_not(
    run: RunFolder, archive: Archive, tmp_path: Path
) -> None:
    out = tmp_path / "review"
    export(run, out)
    sheet = fill_in(out, bL="mass", cL="mass")
    coco = json.loads((out / "candidates.coco.json").read_text())
    picture = next(line["picture"] for line in lines_of(out) if line["image_id"] == "bL")
    number = next(image["id"] for image in coco["images"] if image["file_name"] == picture)
    drawn = {
        "id": 999,
        "image_id": number,
        "category_id": 1,
        "bbox": [30, 30, 8, 8],
        "segmentation": [[30, 30, 38, 30, 38, 38, 30, 38]],
    }
    coco["annotations"].append(drawn)
    (out / "edited.json").write_text(json.dumps(coco))
    assert review_import.take_in(sheet, archive.uri, reader="R1", coco=out / "edited.json").num_outlined == 1
    rows = {row["image_id"]: row["mask_sha"] for row in archive.table("verdicts").to_pylist()}
    assert rows["cL"] == ""  # only the network's candidates lie there
    mask = archive.pixels(rows["bL"]) > 0
    assert mask[34, 34]
    assert not mask[26, 16]


def test_what_does_not_fit_is_refused(
    run: RunFolder, archive: Archive, tmp_path: Path, make_archive: MakeArchive
) -> None:
    out = tmp_path / "review"
    export(run, out)
    sheet = fill_in(out, bL="mass")
    other = make_archive(tmp_path / "other", {"x": Split.WEAK})
    with pytest.raises(UserError, match="judges 1 images that this archive does not have"):
        review_import.take_in(sheet, other.uri, reader="R1")
    (out / "bad.json").write_text("[]")
    with pytest.raises(UserError, match=r"bad\.json is no COCO file"):
        review_import.take_in(sheet, archive.uri, reader="R1", coco=out / "bad.json")
    assert Archive.open(archive.uri).table("verdicts").num_rows == 0


def test_the_queue_of_a_run_whose_archive_has_moved_is_exported_from_its_new_place(
    run: RunFolder, archive: Archive, tmp_path: Path
) -> None:
    Path(archive.uri).rename(tmp_path / "moved")
    with pytest.raises(UserError, match=r"begun on the archive at .* none now: it has moved, say with --archive"):
        export(run, tmp_path / "review")
    config = QueueConfig(size=3, random_share=0)
    why = review.export(run.path, 1, tmp_path / "review", config=config, archive_uri=str(tmp_path / "moved"))
    assert sum(why.values()) == 3


def test_a_round_that_was_not_inferred_is_refused(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(NotFinished, match="round_02/predictions of run run is not finished"):
        review.export(run.path, 2, tmp_path / "review", config=QueueConfig())
