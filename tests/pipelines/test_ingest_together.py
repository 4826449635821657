"""Two ingests of overlapping folders at once, one of them killed and started again: the archive of one clean ingest."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipelines.ingest import run
from system.archive import Archive, check_no_leak
from system.config import resolve
from system.phantom import PhantomConfig, write_phantom
from system.presets import PRESETS

pytestmark = [pytest.mark.ray, pytest.mark.slow]
PATIENCE_S = 300
TABLES = ("images", "masks", "reports", "files", "quarantine")
SETTINGS = """
ingest:
  imaging: {height_px: 96, width_px: 64}
  fixed_key: together
  files_per_task: 2
  files_per_commit: 4
  split: {draw: by_hash}
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Exams 0 to 7 and 4 to 11, each with a broken file of its own."""
    folder = tmp_path_factory.mktemp("sources")
    for name, first in (("monday", 0), ("tuesday", 4)):
        write_phantom(
            folder / name, num_exams=8, seed=3, first_exam=first, config=PhantomConfig(height_px=160, width_px=128)
        )
        (folder / name / "dicom" / "broken.dcm").write_bytes(name.encode())
    return folder / "monday", folder / "tuesday"


def test_two_ingests_at_once_and_a_killed_one_end_as_one_clean_ingest(
    tmp_path: Path, sources: tuple[Path, Path], ray_environment: Mapping[str, str], ray_cluster: Path
) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(SETTINGS)
    config = resolve(PRESETS["demo"](), text=SETTINGS).ingest
    for source in sources:
        run(source, str(tmp_path / "clean"), layout="phantom", config=config)

    drivers = [_start(source, tmp_path / "together", settings, ray_environment) for source in sources]
    _kill_when_some_files_are_read(drivers[0], tmp_path / "together")
    assert drivers[1].wait(PATIENCE_S) == 0
    run(sources[0], str(tmp_path / "together"), layout="phantom", config=config)

    for name in TABLES:
        assert _rows(tmp_path / "together", name) == _rows(tmp_path / "clean", name)
    assert len(_rows(tmp_path / "clean", "images")) == 12 * 4
    assert len(_rows(tmp_path / "clean", "quarantine")) == 2
    check_no_leak(Archive.open(tmp_path / "together").table("images"))


def _start(source: Path, archive: Path, settings: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "pipelines",
        "ingest",
        "--source",
        str(source),
        "--archive",
        str(archive),
        "--layout",
        "phantom",
    ]
    with (archive.parent / f"{archive.name}-{source.name}.log").open("ab") as log:
        return subprocess.Popen(
            [*command, "--preset", "demo", "--config", str(settings)],
            env=dict(environment),
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _kill_when_some_files_are_read(driver: subprocess.Popen[bytes], archive: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not (archive / "archive.json").exists() or not Archive.open(archive).table("files").num_rows:
        assert driver.poll() is None, "the driver ended before it could be killed"
        assert time.monotonic() < deadline, "no file was ever read"
        time.sleep(0.05)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()


def _rows(archive: Path, table: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row.values()) for row in Archive.open(archive).table(table).to_pylist())
