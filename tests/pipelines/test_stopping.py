"""A driver on one machine: what it listens on, and how it ends when it is asked to."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from system.archive import Archive
from system.phantom import PhantomConfig, write_phantom
from tests.chaos.victims import left_of
from tests.pipelines.cli.calling import HEARING

pytestmark = [pytest.mark.ray, pytest.mark.slow]
PATIENCE_S = 300
AGAIN = "start the same command again, it goes on"
TABLES = ("images", "masks", "reports", "files", "quarantine")
SETTINGS = """
ingest:
  imaging: {height_px: 96, width_px: 64}
  fixed_key: stopping
  files_per_task: 1
  files_per_commit: 1
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    write_phantom(folder, num_exams=6, seed=3, config=PhantomConfig(height_px=160, width_px=128))
    return folder


def started(*words: object, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a command that leads a session of its own."""
    return subprocess.Popen(
        [*HEARING, sys.executable, "-m", "pipelines", *map(str, words)],
        env=dict(environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ingesting(source: Path, archive: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    settings = archive.parent / "settings.yaml"
    settings.write_text(SETTINGS)
    words = ["ingest", "--source", source, "--archive", archive, "--layout", "phantom", "--preset", "demo"]
    return started(*words, "--config", settings, environment=environment)


def rows(archive: Path, table: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row.values()) for row in Archive.open(archive).table(table).to_pylist())


def when_files_are_read(driver: subprocess.Popen[str], archive: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not (archive / "archive.json").exists() or not Archive.open(archive).table("files").num_rows:
        assert driver.poll() is None, "the driver ended before it could be stopped"
        assert time.monotonic() < deadline, "no file was ever read"
        time.sleep(0.05)


def when_it_logs(driver: subprocess.Popen[str], text: str) -> None:
    """Return when a command has logged a line with the text. Only for one that is stopped then: its pipe may fill."""
    assert driver.stderr is not None
    for line in driver.stderr:
        if text in line:
            return
    pytest.fail(f"the command ended and never logged {text!r}")


def ended(driver: subprocess.Popen[str]) -> str:
    """Wait until a command that was stopped has ended, check that nothing of it is left, and return its last line."""
    _, err = driver.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in err
    assert "SIG" not in "".join(err.splitlines()[:-1])  # of Ray's core, which would write a stack
    assert left_of(driver.pid, within_s=60) == []
    return err.splitlines()[-1]


def test_a_stopped_ingest_ends_with_one_line_and_goes_on_to_the_end_of_one_that_was_not(
    source: Path, tmp_path: Path, ray_environment: Mapping[str, str]
) -> None:
    stopped = ingesting(source, tmp_path / "stopped", ray_environment)
    when_files_are_read(stopped, tmp_path / "stopped")
    os.killpg(stopped.pid, signal.SIGHUP)  # as a lost terminal does: to all of the command's processes
    last = ended(stopped)
    assert stopped.returncode == 129
    assert re.fullmatch(
        rf"mammoloop: stopped in ingest, \d+ of 24 files \(SIGHUP, its terminal is gone\): {AGAIN}", last
    ), last

    for place in ("stopped", "calm"):
        driver = ingesting(source, tmp_path / place, ray_environment)
        _, err = driver.communicate(timeout=PATIENCE_S)
        assert driver.returncode == 0, err
    assert len(rows(tmp_path / "calm", "images")) == 24
    for table in TABLES:
        assert rows(tmp_path / "stopped", table) == rows(tmp_path / "calm", table)


def test_a_selftrain_that_is_stopped_while_ray_starts_ends_with_143_and_leaves_no_process(
    tmp_path: Path, ray_environment: Mapping[str, str]
) -> None:
    words = ["selftrain", "--archive", tmp_path / "archive", "--out", tmp_path / "run", "--preset", "demo"]
    driver = started(*words, environment=ray_environment)
    when_it_logs(driver, "Ray is starting")
    driver.send_signal(signal.SIGTERM)
    last = ended(driver)
    assert (driver.returncode, last) == (143, f"mammoloop: stopped while Ray was starting (SIGTERM): {AGAIN}")


LISTENING = """
import json, os
import ray
from pipelines.cluster import session
from system.resources import ClusterResources

with session(ClusterResources(address="local", logical_cpus=2, object_store_bytes=100 * 1024**2, dashboard=True)):
    assert ray.get(ray.remote(lambda: os.getpid()).remote()) != os.getpid()
    import psutil  # that Ray brings along

    own = psutil.Process()
    listening = [each for process in (own, *own.children(recursive=True)) for each in process.net_connections("inet")]
    print(json.dumps(sorted({each.laddr.ip for each in listening if each.status == psutil.CONN_LISTEN})))
"""


def test_ray_and_its_dashboard_listen_on_loopback_alone(ray_environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LISTENING],
        env=dict(ray_environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    addresses = json.loads(done.stdout.splitlines()[-1])
    assert addresses
    assert set(addresses) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
