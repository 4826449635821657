"""What is found behind Ray's own errors, made here without a cluster."""

import errno

import pytest
from ray.exceptions import ActorDiedError, ObjectStoreFullError, OutOfDiskError, OutOfMemoryError, WorkerCrashedError
from ray.train import WorkerGroupError

from pipelines.ray_errors import plain_cause
from system.errors import MachineFault, UserError, WorkerLost

LEFT_ALONE = RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1234")
FULL = OSError(errno.ENOSPC, "No space left on device")
BUG = ValueError("shapes differ")


def group(*failures: Exception) -> WorkerGroupError:
    return WorkerGroupError("text", dict(enumerate(failures)))


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (OutOfDiskError("the local disk is full"), MachineFault, "no space is left on the storage"),
        (ObjectStoreFullError("full"), MachineFault, "there is not enough memory"),
        (OutOfMemoryError("killed"), MachineFault, "there is not enough memory"),
        (WorkerCrashedError(), WorkerLost, "a process was killed or lost, Ray: WorkerCrashedError"),
        (ActorDiedError(), WorkerLost, "a process was killed or lost, Ray: ActorDiedError"),
        (group(ActorDiedError()), WorkerLost, "a process was killed or lost, Ray: ActorDiedError"),
        (group(LEFT_ALONE, ActorDiedError()), WorkerLost, "a process was killed or lost, Ray: ActorDiedError"),
        (group(LEFT_ALONE, FULL), MachineFault, "no space is left on the storage"),
        (group(ActorDiedError(), FULL), MachineFault, "no space is left on the storage"),
        (group(ActorDiedError(), UserError("lower it")), UserError, "lower it"),
    ],
)
def test_the_owner_of_what_ray_raises(error: Exception, kind: type[Exception], text: str) -> None:
    found = plain_cause(error)
    assert type(found) is kind
    assert str(found).startswith(text)


@pytest.mark.parametrize("error", [group(BUG), group(BUG, ActorDiedError()), group(LEFT_ALONE, BUG), BUG])
def test_a_fault_of_ours_is_not_put_down_to_the_machine(error: Exception) -> None:
    assert plain_cause(error) is error
