"""How the command ends.

A user's mistake with exit 2 and one message, a fault of the machine with 75 and one message, a signal with 128 and its
number, a fault of ours with exit 1 and its traceback.
"""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipelines.cli.ending import Ending, ending_of
from tests.chaos.victims import left_of
from tests.pipelines.cli.calling import HEARING, Mammoloop

MISTAKE = "no archive at nowhere: run `mammoloop ingest` first"
ONE_LINE = f"mammoloop: {MISTAKE}\n"
FULL = "no space is left on the storage: free space, then start the same command again, it goes on"
ONE_LINE_OF_THE_MACHINE = f"mammoloop: {FULL}\n"

# A whole process, with a command of its own that fails.
FAILING = """
import typer
from pipelines.cli import main
from system.errors import MachineFault, UserError

main.app = typer.Typer(pretty_exceptions_enable=False)

@main.app.command()
def fail() -> None:
    raise {error}

main.main()
"""


def run(error: str) -> subprocess.CompletedProcess[str]:
    """Start a process whose command raises the error."""
    return subprocess.run(
        [sys.executable, "-c", FAILING.format(error=error)], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_mistake_of_the_user_ends_with_2_and_one_line() -> None:
    done = run(f"UserError({MISTAKE!r})")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", ONE_LINE)


@pytest.mark.parametrize("error", ["OSError(28, 'No space left on device', 'DOE^JANE.dcm')", f"MachineFault({FULL!r})"])
def test_a_fault_of_the_machine_ends_with_75_and_one_line_without_the_name_of_a_file(error: str) -> None:
    done = run(error)
    assert (done.returncode, done.stdout, done.stderr) == (75, "", ONE_LINE_OF_THE_MACHINE)


WAITING = (
    FAILING.format(error="SystemExit")
    .replace(
        "    raise SystemExit",
        """    import time
    from system.place import PLACE
    with PLACE.at({place!r}):
        PLACE.how_far = {how_far!r}
        try:
            print("ready", flush=True)
            time.sleep(60)
        finally:
            print("clearing up", flush=True)
            end_s = time.monotonic() + {clearing_s}
            while (left_s := end_s - time.monotonic()) > 0:
                try:
                    time.sleep(left_s)
                except BaseException:
                    pass  # as libraries do""",
    )
    .replace(
        "main.main()",
        """from pipelines.cli import ending
ending.PATIENCE_S = {patience_s}
main.process()""",
    )
)
AGAIN = "start the same command again"


def waiting(
    *before: str,
    clearing_s: float = 0.0,
    patience_s: float = 60.0,
    place: str = "",
    how_far: str = "",
    stderr: int = subprocess.PIPE,
) -> subprocess.Popen[str]:
    """Start a process whose command waits, and takes so long to clear up. before: the words that start it."""
    script = WAITING.format(clearing_s=clearing_s, patience_s=patience_s, place=place, how_far=how_far)
    command = [*HEARING, *before, sys.executable, "-c", script]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (signal.SIGTERM, f"mammoloop: stopped (SIGTERM): {AGAIN}\n"),
        (signal.SIGINT, f"mammoloop: stopped (Ctrl-C): {AGAIN}\n"),
        (signal.SIGHUP, f"mammoloop: stopped (SIGHUP, its terminal is gone): {AGAIN}\n"),
    ],
)
def test_a_signal_clears_up_and_ends_with_128_and_its_number_and_one_line(number: signal.Signals, line: str) -> None:
    process = waiting()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (128 + number, "clearing up\n", line)


def test_a_command_that_goes_on_names_the_place_where_it_was_stopped() -> None:
    process = waiting(place="in round 2, retrain", how_far="epoch 3 of 15")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert err == f"mammoloop: stopped in round 2, retrain, epoch 3 of 15 (Ctrl-C): {AGAIN}, it goes on\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_a_command_at_once_and_in_the_same_way(number: signal.Signals) -> None:
    process = waiting(clearing_s=60)
    process.send_signal(number)
    assert process.stdout is not None
    assert process.stdout.readline() == "clearing up\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=50)
    assert (process.returncode, err.count("\n")) == (128 + number, 1)
    assert err.startswith("mammoloop: stopped")


def test_a_command_that_does_not_clear_up_in_time_is_ended() -> None:
    process = waiting(clearing_s=60, patience_s=0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=50)
    assert (process.returncode, err) == (143, f"mammoloop: stopped (SIGTERM): {AGAIN}\n")


def test_a_terminal_that_is_gone_changes_nothing_of_the_end() -> None:
    reading, writing = os.pipe()
    process = waiting(stderr=writing)
    os.close(writing)
    os.close(reading)
    assert process.stdout is not None
    process.stdout.close()
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=60) == 129


def test_nohup_lets_a_command_outlive_its_terminal() -> None:
    process = waiting("nohup")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143


# A thread of Ray's is at work when the command fails, as those of Ray Data are.
AT_WORK = (
    FAILING.format(error="{error}")
    .replace(
        "    raise {error}",
        """    import threading
    import ray
    from pipelines.cluster import session
    from system.resources import ClusterResources
    with session(ClusterResources(address="local", logical_cpus=2, object_store_bytes=100 * 1024**2)):
        core = ray._private.worker.global_worker.core_worker
        threading.Thread(target=lambda: [core.get_worker_id() for _ in iter(int, 1)], daemon=True).start()
        raise {error}""",
    )
    .replace("main.main()", "main.process()")
)


def started(code: str, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start a program that leads a session, by which all that it leaves is found."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.ray
@pytest.mark.parametrize(("error", "code"), [(f"UserError({MISTAKE!r})", 2), (f"MachineFault({FULL!r})", 75)])
def test_a_command_ends_with_its_code_while_threads_of_ray_are_at_work_and_leaves_no_process(
    ray_environment: Mapping[str, str], error: str, code: int
) -> None:
    process = started(AT_WORK.format(error=error), ray_environment)
    _, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert left_of(process.pid, within_s=60) == []


# The raylet is stopped while the command is at its end, and stays so.
STOPPED_AT_THE_END = (
    FAILING.format(error="{error}")
    .replace(
        "    raise {error}",
        """    import os, signal
    import ray
    from pipelines import cluster
    from system.resources import ClusterResources
    cluster._LEAVES_WITHIN_S = 3.0
    with cluster.session(ClusterResources(address="local", logical_cpus=2, object_store_bytes=100 * 1024**2)):
        ray.get(ray.put(0))
        (raylet,) = ray._private.worker._global_node.all_processes["raylet"]
        os.kill(raylet.process.pid, signal.SIGSTOP)""",
    )
    .replace("main.main()", "main.process()")
)


@pytest.mark.ray
def test_a_raylet_that_stands_still_does_not_hold_up_the_end_of_a_command(ray_environment: Mapping[str, str]) -> None:
    process = started(STOPPED_AT_THE_END, ray_environment)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err.splitlines()[-1].partition(",")[0]) == (75, "mammoloop: a process stood still")
    assert left_of(process.pid, within_s=60) == []


@pytest.mark.parametrize("kind", [IsADirectoryError, NotADirectoryError])
def test_a_place_that_is_no_folder_or_file_is_the_users_to_mend(kind: type[OSError]) -> None:
    ending = ending_of(kind(errno.ENOTDIR, "Not a directory", "/data/run/manifest.json"))
    assert ending == Ending("manifest.json: Not a directory; choose another place, or remove what is there", 2)


def test_a_value_error_of_ours_keeps_its_traceback_and_exit_1() -> None:
    done = run("ValueError('shapes differ')")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Traceback (most recent call last)")
    assert done.stderr.splitlines()[-1] == "ValueError: shapes differ"
    assert "mammoloop:" not in done.stderr


def test_a_run_that_is_not_there_ends_with_2(mammoloop: Mammoloop, tmp_path: Path) -> None:
    called = mammoloop("evaluate", "--run", str(tmp_path))
    assert called.code == 2
    assert called.err == (
        f"mammoloop: {tmp_path.name} holds no run: it has no config.yaml; start one with `mammoloop selftrain`\n"
    )
