"""The phantom made by several processes at once."""

from pathlib import Path

from pipelines.experiments.phantom import CHUNK_EXAMS, run
from system.phantom import PhantomConfig, write_phantom

TINY = PhantomConfig(height_px=64, width_px=48)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_exams_spread_over_processes_are_the_same_bytes(tmp_path: Path) -> None:
    num_exams = 2 * CHUNK_EXAMS + 1
    run(tmp_path / "spread", num_exams=num_exams, seed=3, config=TINY, num_workers=2, quiet=True)
    write_phantom(tmp_path / "alone", num_exams=num_exams, seed=3, config=TINY)
    assert contents(tmp_path / "spread") == contents(tmp_path / "alone")


def test_no_exams_give_empty_tables(tmp_path: Path) -> None:
    run(tmp_path, num_exams=0, seed=3, config=TINY, quiet=True)
    assert (tmp_path / "truth.csv").read_text() == "file,mask,patient,study,side,view,density,num_masses,split\n"
