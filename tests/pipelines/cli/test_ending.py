"""How the command ends.

A user's mistake with exit 2 and one message, a fault of the machine with 75 and one message, a signal with 128 and its
number, a fault of ours with exit 1 and its traceback.
"""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main as command_line
from pipelines.cli.ending import Ending, ending_of
from system.errors import NotFinished, UserError
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


@pytest.mark.ray
@pytest.mark.parametrize(("error", "code"), [(f"UserError({MISTAKE!r})", 2), (f"MachineFault({FULL!r})", 75)])
def test_a_command_ends_with_its_code_while_threads_of_ray_are_at_work_and_leaves_no_process(
    ray_environment: Mapping[str, str], error: str, code: int
) -> None:
    command = [sys.executable, "-c", AT_WORK.format(error=error)]
    process = subprocess.Popen(
        command,
        env=dict(ray_environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _, err = process.communicate(timeout=120)
    assert process.returncode == code, err
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


def caused_by_a_mistake() -> None:
    """Fail by a fault of ours, while a mistake of the user is handled."""
    try:
        raise UserError(MISTAKE)
    except UserError as mistake:
        raise ValueError("shapes differ") from mistake


def test_a_fault_of_ours_stays_one_though_a_mistake_caused_it(
    mammoloop: Mammoloop, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")  # with Ray loaded, the error is searched for what it carries
    monkeypatch.setattr(command_line, "app", caused_by_a_mistake)
    with pytest.raises(ValueError, match="shapes differ") as fault:
        mammoloop()
    assert not isinstance(fault.value, UserError)


def mistaken(*_: object) -> None:
    raise NotFinished(MISTAKE)


def at_fault(*_: object) -> None:
    raise ValueError("shapes differ")


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "DOE^JANE.dcm")


def killed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Full:
    """An actor that is never there, because the disk is full."""

    def __init__(self) -> None:
        full()

    def work(self) -> None:
        """Do nothing."""


class FullLater:
    """An actor whose work finds the disk full."""

    def work(self) -> None:
        """Write."""
        full()


class KilledLater:
    """An actor that is killed from outside."""

    def work(self) -> None:
        """Die."""
        killed()


class Mistaken:
    """An actor that is never there."""

    def __init__(self) -> None:
        mistaken()

    def work(self) -> None:
        """Do nothing."""


class AtFault:
    """An actor that is never there, by a fault of ours while it handles a mistake."""

    def __init__(self) -> None:
        caused_by_a_mistake()

    def work(self) -> None:
        """Do nothing."""


def in_a_task(work: Callable[..., None]) -> None:
    import ray

    ray.get(ray.remote(num_cpus=0, max_retries=0)(work).remote())


def in_a_task_of_a_task(work: Callable[..., None]) -> None:
    in_a_task(lambda: in_a_task(work))


def in_a_constructor(actor: type[Any]) -> None:
    import ray

    remote: Any = ray.remote(num_cpus=0)(actor)
    ray.get(remote.remote().work.remote())


def in_ray_data(work: Callable[..., None]) -> None:
    import ray.data

    ray.data.range(1).map_batches(work).materialize()


def in_training(work: Callable[..., None], storage: Path) -> None:
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    scaling = ScalingConfig(num_workers=1, resources_per_worker={"CPU": 1})
    storage_config = RunConfig(name="ray", storage_path=str(storage))
    TorchTrainer(work, train_loop_config={}, scaling_config=scaling, run_config=storage_config).fit()


@pytest.mark.ray
@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda: in_a_task(mistaken), id="task"),
        pytest.param(lambda: in_a_task_of_a_task(mistaken), id="task of a task"),
        pytest.param(lambda: in_a_constructor(Mistaken), id="constructor"),
    ],
)
def test_a_mistake_that_comes_back_through_ray_is_one_line(
    ray_cluster: Path, mammoloop: Mammoloop, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]
) -> None:
    monkeypatch.setattr(command_line, "app", work)
    called = mammoloop()
    assert (called.code, called.out, called.err) == (2, "", ONE_LINE)


@pytest.mark.ray
def test_a_mistake_of_a_training_worker_ends_with_2_and_its_own_text(
    ray_cluster: Path, mammoloop: Mammoloop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command_line, "app", lambda: in_training(mistaken, tmp_path))
    called = mammoloop()
    assert called.code == 2
    assert called.err == ONE_LINE


@pytest.mark.ray
def test_a_mistake_in_ray_data_ends_with_2_and_its_own_text(
    ray_cluster: Path, mammoloop: Mammoloop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_line, "app", lambda: in_ray_data(mistaken))
    called = mammoloop()
    assert called.code == 2
    assert called.err.endswith(ONE_LINE)


@pytest.mark.ray
@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda: in_a_task(at_fault), id="task"),
        pytest.param(lambda: in_a_task(caused_by_a_mistake), id="task that handles a mistake"),
        pytest.param(lambda: in_a_constructor(AtFault), id="constructor that handles a mistake"),
    ],
)
def test_a_fault_of_ours_that_comes_back_through_ray_keeps_its_traceback(
    ray_cluster: Path, mammoloop: Mammoloop, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]
) -> None:
    monkeypatch.setattr(command_line, "app", work)
    with pytest.raises(Exception, match="ValueError: shapes differ") as fault:
        mammoloop()
    assert "line" in str(fault.value)  # of the remote traceback


@pytest.mark.ray
@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda: in_a_task(full), id="task"),
        pytest.param(lambda: in_a_task_of_a_task(full), id="task of a task"),
        pytest.param(lambda: in_a_constructor(Full), id="constructor"),
        pytest.param(lambda: in_a_constructor(FullLater), id="method"),
    ],
)
def test_a_fault_of_the_machine_that_comes_back_through_ray_is_one_line(
    ray_cluster: Path, mammoloop: Mammoloop, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]
) -> None:
    monkeypatch.setattr(command_line, "app", work)
    called = mammoloop()
    assert (called.code, called.out, called.err) == (75, "", ONE_LINE_OF_THE_MACHINE)


@pytest.mark.ray
@pytest.mark.parametrize("place", [in_ray_data, in_training])
def test_a_fault_of_the_machine_in_ray_data_and_in_a_training_worker_ends_with_75_and_its_own_text(
    ray_cluster: Path,
    mammoloop: Mammoloop,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    place: Callable[..., None],
) -> None:
    given = (tmp_path,) if place is in_training else ()
    monkeypatch.setattr(command_line, "app", lambda: place(full, *given))
    called = mammoloop()
    assert called.code == 75
    assert called.err.endswith(ONE_LINE_OF_THE_MACHINE)


@pytest.mark.ray
@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda: in_a_task(killed), id="task"),
        pytest.param(lambda: in_a_constructor(KilledLater), id="actor"),
    ],
)
def test_a_worker_that_is_killed_from_outside_ends_with_75(
    ray_cluster: Path, mammoloop: Mammoloop, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]
) -> None:
    monkeypatch.setattr(command_line, "app", work)
    called = mammoloop()
    assert called.code == 75
    assert called.err.startswith("mammoloop: a process was killed or lost, Ray: ")
    assert called.err.count("\n") == 1
