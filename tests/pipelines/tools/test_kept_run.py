"""An archive and a run of an earlier version are read by this one, or refused with a reason.

The file is made by tests/fixtures/make_kept_run.py, of archive schema 1 and run schema 3: both are read.
"""

import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.page.gather import present
from pipelines.tools import evaluate_run, explain
from system.archive import Archive
from system.errors import UserError
from system.run.folder import RunFolder
from tests.damage import WAYS
from tests.kept import KEPT, unpack

MOST_BYTES = 300_000


def names() -> list[str]:
    """Return the files that are JSON or YAML."""
    with tarfile.open(KEPT) as file:
        return [name for name in file.getnames() if name.endswith((".json", ".jsonl", ".yaml"))]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with archive/ and run/. Whoever damages a file restores it."""
    return unpack(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def damaged(kept: Path) -> Iterator[Callable[[str, str], Path]]:
    """Return a function that damages a file in a way; it is restored after the test."""
    held = kept / "held"
    names: list[str] = []

    def damage(name: str, way: str) -> Path:
        shutil.copyfile(kept / name, held)
        names.append(name)
        WAYS[way](kept / name)
        return kept

    yield damage
    for name in names:
        shutil.copyfile(held, kept / name)


def evaluate(folder: Path) -> evaluate_run.RunMeasures:
    return evaluate_run.run(folder / "run", split="test", archive_uri=str(folder / "archive"))


def test_the_kept_run_is_small_and_holds_no_path_of_the_machine_it_was_made_on() -> None:
    assert KEPT.stat().st_size < MOST_BYTES
    with tarfile.open(KEPT) as file:
        for name in file.getnames():
            content = file.extractfile(name)
            assert content is not None
            assert b"/tmp/" not in content.read(), name


def test_it_is_evaluated(kept: Path) -> None:
    systems = evaluate(kept).systems
    assert list(systems) == ["supervised", "control 1", "round 1"]
    assert all(system.result.counts.num_lesions for system in systems.values())


def test_an_image_is_explained(kept: Path, tmp_path: Path) -> None:
    images = Archive.open(kept / "archive").table("images", columns=["image_id", "split"]).to_pylist()
    image_id = next(row["image_id"] for row in images if row["split"] == "test")
    picture = tmp_path / "picture.png"
    found = explain.run(kept / "run", image_id, archive_uri=str(kept / "archive"), picture=picture)
    assert [system.title for system in found.systems] == ["supervised", "control 1", "round 1"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_its_page_is_written(kept: Path) -> None:
    run = RunFolder(kept / "run")
    page = present(run, archive_uri=str(kept / "archive"), config=run.config())
    assert "round 1" in page.read_text(encoding="utf8")


@pytest.mark.parametrize("command", ["evaluate", "explain", "page"])
def test_another_archive_is_refused_by_every_command(kept: Path, tmp_path: Path, command: str) -> None:
    imaging = Archive.open(kept / "archive").imaging
    other = Archive.create(tmp_path / "other", imaging=imaging, site_key=bytes(32)).uri
    run = RunFolder(kept / "run")
    use: dict[str, Callable[[], object]] = {
        "evaluate": lambda: evaluate_run.run(run.path, split="test", archive_uri=other),
        "explain": lambda: explain.run(run.path, "image", archive_uri=other),
        "page": lambda: present(run, archive_uri=other, config=run.config()),
    }
    with pytest.raises(UserError, match=r"run run was begun on another archive than .*other \(their site keys differ"):
        use[command]()


def refusal_of(use: Callable[[], object]) -> str:
    """Return the refusal's text, "" where there was none; every other error is raised."""
    try:
        use()
    except UserError as refused:
        return str(refused)
    return ""


def _some(*steps: int) -> list[tuple[str, str]]:
    """Return every file with as many ways of damage as there are steps; all ways occur."""
    ways = list(WAYS)
    return [(name, ways[(number + step) % len(ways)]) for number, name in enumerate(names()) for step in steps]


@pytest.mark.parametrize(("name", "way"), _some(0))
def test_a_damaged_file_ends_evaluate_with_one_line_or_not_at_all(
    damaged: Callable[[str, str], Path], name: str, way: str
) -> None:
    folder = damaged(name, way)
    assert "\n" not in refusal_of(lambda: evaluate(folder))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "way"), _some(3, 7))
def test_a_file_damaged_in_another_way_ends_evaluate_and_the_page_with_one_line_or_not_at_all(
    damaged: Callable[[str, str], Path], name: str, way: str
) -> None:
    folder = damaged(name, way)
    run = RunFolder(folder / "run")
    for use in (
        lambda: evaluate(folder),
        lambda: present(run, archive_uri=str(folder / "archive"), config=run.config()),
    ):
        assert "\n" not in refusal_of(use)


@pytest.mark.parametrize(
    "name",
    [
        *("archive/archive.json", "archive/tables/images/_delta_log/00000000000000000000.json", "run/config.yaml"),
        *("run/archive/manifest.json", "run/stage1/froc/manifest.json", "run/stage1/froc/attempt_001/froc.json"),
    ],
)
@pytest.mark.parametrize("way", ["cut", "a list", "binary"])
def test_what_evaluate_reads_is_refused_when_it_is_damaged(
    damaged: Callable[[str, str], Path], name: str, way: str
) -> None:
    folder = damaged(name, way)
    with pytest.raises(UserError, match=r"restore|was written by another version"):
        evaluate(folder)
