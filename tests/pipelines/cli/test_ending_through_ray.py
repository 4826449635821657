"""How the command ends when the error comes back through Ray's tasks, actors, data and training: as without Ray."""

import errno
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main as command_line
from pipelines.cluster import tune_data
from pipelines.workers import restarts
from pipelines.workers.restarts import by_actors
from system.errors import NotFinished, UserError
from tests.pipelines.cli.calling import Mammoloop
from tests.pipelines.cli.test_ending import MISTAKE, ONE_LINE, ONE_LINE_OF_THE_MACHINE


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


class KilledAtOnce:
    """Of Ray Data: killed from outside before it is there."""

    def __init__(self) -> None:
        killed()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return the batch."""
        return batch


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


@pytest.mark.ray
def test_a_worker_of_ray_data_that_is_killed_as_it_starts_ends_with_75_and_no_stack_trace(
    ray_cluster: Path, mammoloop: Mammoloop, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray.data

    told: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = told.append  # type: ignore[method-assign]
    logger = logging.getLogger("ray.data.exceptions")
    monkeypatch.setattr(restarts, "RESTARTS", 1)
    tune_data()
    one = ray.data.ActorPoolStrategy(size=1)
    monkeypatch.setattr(
        command_line,
        "app",
        lambda: by_actors(ray.data.range(1), KilledAtOnce, compute=one, num_cpus=0.1).materialize(),
    )
    logger.addHandler(handler)
    try:
        called = mammoloop()
    finally:
        logger.removeHandler(handler)
    assert called.code == 75
    assert called.err.splitlines()[-1].startswith("mammoloop: a process was killed or lost, Ray: ")
    assert told == []
