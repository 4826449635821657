"""What the page states of a run as a whole: stages in words and in time, hardware, data of each split."""

import re
from pathlib import Path

import pytest

from pipelines.hardware import _gpus
from pipelines.page.about import about, split_rows, stage_title, timeline
from system.figures.rows import TimeRow
from system.run.folder import RunFolder
from system.run.progress import FinishedStage, progress_of
from system.run.starts import Start, note_start
from tests.kept import set_times, unpack


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("stage1/checkpoint", "supervised: training"),
        ("round_02/predictions", "round 2: inference on weak images"),
        ("control_01/held_out", "control 1: inference on held-out images"),
        ("labels", "reports: models and labels"),
        ("labels_02", "reports: models and labels"),
        ("chosen", "result chosen"),
        ("round_01/froc_by_1234abcd", ""),  # of a later evaluation by other rules
    ],
)
def test_a_stage_has_a_name_for_people(name: str, title: str) -> None:
    assert stage_title(name) == title


def test_stages_stand_in_time_with_the_gaps_between_them() -> None:
    finished = [FinishedStage("labels", 100.0, 160.0, 60.0), FinishedStage("stage1/checkpoint", 1000.0, 1400.0, 400.0)]
    assert timeline(finished) == [
        TimeRow("reports: models and labels", 0.0, 60.0),
        TimeRow("supervised: training", 900.0, 400.0),
    ]


def test_stages_of_a_copied_run_whose_times_are_lost_stand_end_to_end() -> None:
    finished = [FinishedStage("labels", 940.0, 1000.0, 60.0), FinishedStage("stage1/checkpoint", 600.0, 1000.0, 400.0)]
    assert [(row.began_s, row.seconds) for row in timeline(finished)] == [(0.0, 60.0), (60.0, 400.0)]


def test_without_stages_there_is_no_timeline() -> None:
    assert timeline([]) == []


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([{"CPU": 2.0}], "no GPU"),
        ([{"CPU": 2.0, "GPU": 1.0, "accelerator_type:H100": 1.0}], "1 GPU (H100)"),
        (
            [{"GPU": 8.0, "accelerator_type:A100": 1.0}, {"GPU": 4.0, "accelerator_type:H100": 1.0}, {"CPU": 1.0}],
            "12 GPUs (A100, H100)",
        ),
        ([{"GPU": 0.5}], "0.5 GPUs"),
    ],
)
def test_gpus_are_those_that_ray_found(nodes: list[dict[str, float]], expected: str) -> None:
    assert _gpus(nodes) == expected


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Return the kept run; a stage ended every 100 s from 2023-11-14 22:13:20 UTC on."""
    found = RunFolder(unpack(tmp_path) / "run")
    names = [path.parent.relative_to(found.path).as_posix() for path in sorted(found.path.rglob("manifest.json"))]
    set_times(found.path, order=[*(name for name in names if name != "chosen"), "chosen"], began_s=1_700_000_000.0)
    return found


def test_when_how_long_and_on_what_a_run_was_done(run: RunFolder) -> None:
    first, second = "a processor, 2 cores, 8 GiB; no GPU", "another, 16 cores, 128 GiB; 2 GPUs (H100)"
    note_start(run.path, Start("2023-11-14T22:13:20+00:00", first))
    note_start(run.path, Start("2023-11-14T22:15:00+00:00", second))
    found = about(run, run.config(), progress_of(run.path))
    assert found["begun"] == "2023-11-14 22:13 UTC"
    assert re.fullmatch(r"2023-11-14 22:\d\d UTC", found["finished"])
    assert found["hardware"] == f"{first}; later: {second}"
    assert "started 2 times" in found["work"]
    assert run.config().net.backbone in found["network"]


def test_a_run_from_before_starts_were_noted_names_no_hardware(run: RunFolder) -> None:
    found = about(run, run.config(), progress_of(run.path))
    assert "hardware" not in found
    assert found["begun"].startswith("2023-11-14")


def test_patients_images_and_lesions_are_counted_per_split(run: RunFolder) -> None:
    archive = run.archive(uri=str(run.path.parent / "archive"))
    images, masks = (archive.table(name).to_pylist() for name in ("images", "masks"))
    lesions = {row["image_id"]: row["num_lesions"] for row in masks}
    for row in split_rows(archive, run.config()):
        members = [image for image in images if image["split"] == row.split]
        assert row.num_images == len(members) > 0
        assert row.num_patients == len({image["patient_id"] for image in members})
        if row.split == "weak":
            assert row.lesions != row.lesions  # NaN: no mask of theirs is used
        else:
            assert row.lesions == sum(lesions.get(image["image_id"], 0) for image in members)
