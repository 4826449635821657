"""`mammoloop review` on a run put together by hand: what its options do, and what it tells to do next."""

import json
from pathlib import Path

import pytest

from system.archive import Archive
from system.config import RunConfig
from system.records import Split, image_key
from system.run.folder import RunFolder
from tests.pipelines.cli.calling import Mammoloop
from tests.pipelines.fixture_types import MakeArchive
from tests.pipelines.tools.by_hand import infer_by_hand

NO_MASS = 'label="no mass" source="manual"'


@pytest.fixture
def run(tmp_path: Path, make_archive: MakeArchive) -> RunFolder:
    archive = make_archive(tmp_path / "archive", {"a": Split.WEAK})
    run = RunFolder(tmp_path / "run")
    with run.claimed(RunConfig()):
        run.pin(archive.uri)
    rows = [
        {"image_key": image_key(name), "image_id": name, "study_id": "study-a", "side": name[1], "view": "MLO"}
        | {"score": 0.0, "entropy": 0.5, "mask_area_px": 0, "candidates": "[]"}
        for name in ("aL", "aR")
    ]
    infer_by_hand(run.round(1).predictions, rows)
    return run


def test_an_export_writes_for_the_named_tool_and_tells_what_to_do_next(
    run: RunFolder, tmp_path: Path, mammoloop: Mammoloop
) -> None:
    out = tmp_path / "review"
    words = ("review", "export", "--run", str(run.path), "--round", "1", "--out", str(out))
    done = mammoloop(*words, "--for", "cvat", "--window", "5", "95", "--longest", "100")
    assert done.code == 0, done.err
    for name in ("index.html", "queue.csv", "candidates.coco.json", "cvat.xml", "cvat-labels.json"):
        assert (out / name).is_file()
    assert not list(out.glob("label-studio*"))
    assert f"look at {out}/index.html, fill in {out}/queue.csv, then: mammoloop review import --file" in done.out
    back = (out / "cvat.xml").read_text().replace("</image>", f"<tag {NO_MASS}></tag></image>")
    (out / "back.xml").write_text(back)
    archive = str(tmp_path / "archive")
    words = ("review", "import", "--file", str(out / "queue.csv"), "--archive", archive, "--reader", "R1")
    done = mammoloop(*words, "--drawn", str(out / "back.xml"))
    assert done.code == 0, done.err
    assert "verdicts: 2 no mass; 0 outlined" in done.out
    assert set(Archive.open(archive).table("verdicts")["verdict"].to_pylist()) == {"no mass"}


def test_label_studios_files_are_its_tasks_and_its_interface(
    run: RunFolder, tmp_path: Path, mammoloop: Mammoloop
) -> None:
    out = tmp_path / "review"
    words = ("review", "export", "--run", str(run.path), "--round", "1", "--out", str(out), "--for", "label-studio")
    assert mammoloop(*words).code == 0
    assert len(json.loads((out / "label-studio.json").read_text())) == 2
    assert (out / "label-studio.xml").read_text().startswith("<View>")
    assert not list(out.glob("cvat*"))


def test_without_a_tool_only_the_coco_file_is_written(run: RunFolder, tmp_path: Path, mammoloop: Mammoloop) -> None:
    out = tmp_path / "review"
    assert mammoloop("review", "export", "--run", str(run.path), "--round", "1", "--out", str(out)).code == 0
    assert not [path.name for path in out.iterdir() if path.name.startswith(("cvat", "label-studio"))]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--window", "95", "5"), "--window 95 5 is empty: give the lower percentile first"),
        (("--window", "-1", "50"), "--window -1 50: percentiles lie between 0 and 100"),
        (("--for", "paint"), "'paint' is not one of"),
        (("--longest", "3"), "greater than or equal to 64"),
    ],
)
def test_an_option_that_means_nothing_is_refused(
    run: RunFolder, tmp_path: Path, mammoloop: Mammoloop, words: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "review"
    done = mammoloop("review", "export", "--run", str(run.path), "--round", "1", "--out", str(out), *words)
    assert done.code == 2
    assert message in " ".join(done.err.replace("│", " ").split())
    assert not out.exists()
