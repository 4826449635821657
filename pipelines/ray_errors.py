"""Find the error that a task, an actor or a training worker raised behind what Ray wrapped around it."""

import re
from collections.abc import Iterator

from ray.exceptions import (
    ActorUnavailableError,
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfDiskError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    UserCodeException,
    WorkerCrashedError,
)

from system.errors import MachineFault, UserError
from system.faults import FULL, KILLED, MEMORY, STOOD_STILL, Cause, fault_in_words, fault_of, machine_fault

# Of an error in an actor's constructor and in a task of Ray Data, Ray keeps nothing but the traceback's text.
_TEXT_ONLY = (RayActorError, UserCodeException)
_DIRECT_CAUSE = "The above exception was the direct cause of the following exception:"
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?::\s+(.*))?\s*\Z", re.DOTALL | re.MULTILINE)
# In the errors of workers that another one's death left alone.
_LEFT_ALONE = ("gloo", "nccl", "connection closed by peer", "connection reset by peer")
# What Ray itself raises when the machine fails, and of what kind that is.
_RAYS_OWN: dict[type[RayError], Cause] = {
    OutOfDiskError: FULL,
    ObjectStoreFullError: MEMORY,
    OutOfMemoryError: MEMORY,
    WorkerCrashedError: KILLED,
    NodeDiedError: KILLED,
    LocalRayletDiedError: KILLED,
    ActorUnavailableError: KILLED,
    ObjectLostError: KILLED,
    RayActorError: KILLED,
}
# Of Ray Train, by name: they are not public.
_TRAINS_OWN = {"WorkerHealthCheckTimeoutError": STOOD_STILL, "WorkerHealthCheckFailedError": KILLED}


def plain_cause(error: BaseException) -> BaseException:
    """Return the user's mistake or the machine's fault that an error is or carries, without Ray's wrappers.

    Any other error is returned as it came, with Ray's text, which holds the remote traceback. So is one that our own
    code raised because of a user's mistake: only Ray's wrappers are looked into. An error that a worker raised counts
    before the death of another, which often follows from it.
    """
    if isinstance(error, SystemError) and error.__cause__:  # raised by a signal's handler in the midst of a C call
        error = error.__cause__
    found = list(_inside(error))
    if owned := next(filter(None, map(_owned, found)), None):
        return owned
    if any(map(_is_ours, found)):
        return error
    return next(filter(None, map(_death, found)), error)


def _owned(error: BaseException) -> UserError | MachineFault | None:
    """Return the user's mistake or the machine's fault that an error is, or tells of in its text."""
    if isinstance(error, UserError | MachineFault) and not isinstance(error, RayError):
        return error
    if not _is_rays(error):
        return fault_of(error)
    raised = _raised_in(error)
    return _in_words(*raised) if raised else None


def _is_ours(error: BaseException) -> bool:
    """Return whether an error is one that our own code raised, and not because another worker had died."""
    text = str(error).lower()
    if _is_rays(error):
        return bool(_raised_in(error))
    return not any(words in text for words in _LEFT_ALONE)


def _inside(error: BaseException) -> Iterator[BaseException]:
    """Give an error and those that Ray wrapped."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        if not _is_rays(current):
            continue
        failures = getattr(current, "worker_failures", None)  # Ray Train: rank -> error
        names = ("cause", "controller_failure", "health_check_failure", "_base_exc", "__cause__")
        nested = [getattr(current, name, None) for name in names]
        nested += list(failures.values()) if isinstance(failures, dict) else []
        waiting += [each for each in nested if isinstance(each, BaseException)]


def _is_rays(error: BaseException) -> bool:
    return type(error).__module__.startswith("ray.")


def _death(error: BaseException) -> MachineFault | None:
    """Return the fault of a worker, a node or a store of Ray."""
    cause = _TRAINS_OWN.get(type(error).__name__)
    cause = cause or next((cause for kind, cause in _RAYS_OWN.items() if isinstance(error, kind)), None)
    return machine_fault(cause, detail=f"Ray: {type(error).__name__}") if cause else None


def _raised_in(error: BaseException) -> tuple[str, str] | None:
    """Return class and text of the error that a traceback ends with, not counting what Ray raised because of it.

    None for an error whose text is no traceback, e.g. of an actor that was killed.
    """
    if not isinstance(error, _TEXT_ONLY):
        return None
    parts = str(error).split("\n\n")
    while len(parts) > 2 and parts[-2] == _DIRECT_CAUSE and "\nray." in parts[-1]:
        parts = parts[:-2]
    _, found, after = parts[-1].rpartition("\n  File ")
    if not found:
        return None
    raised = _RAISED.search(after)
    return (raised[1], raised[2] or "") if raised else None


def _in_words(kind: str, text: str) -> UserError | MachineFault | None:
    """Return the user's or the machine's error of which only these words are left."""
    if any(kind == f"{each.__module__}.{each.__qualname__}" for each in _with_subclasses(UserError)):
        return UserError(text)
    return fault_in_words(kind, text)


def _with_subclasses(kind: type[UserError]) -> Iterator[type[UserError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _with_subclasses(each)
