"""Who owns an error: the user, the machine, or we. Pure functions, by errno where there is one, else by text.

Python, Arrow, Delta, safetensors and the object stores each raise what they like for a full disk or a store that does
not answer: an OSError with or without errno, or an error of their own with Rust's text. All are classified here.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from system.errors import MachineFault, UserError, WorkerLost

Owner = Literal["user", "machine", "ours"]


@dataclass(frozen=True, slots=True)
class Cause:
    """A kind of fault of the machine."""

    what: str  # is wrong
    remedy: str  # before the same command is started again


FULL = Cause("no space is left on the storage", "free space")
READ_ONLY = Cause("the storage is mounted read-only", "mount it for writing")
BROKEN = Cause("the storage failed to read or write", "check the disk or the mount")
SILENT = Cause("the storage or the network does not answer", "check that it is up and reachable")
REFUSED = Cause("the storage does not permit it", "give this user the permission, or renew the credentials")
CREDENTIALS = Cause("the store does not accept the credentials", "renew them")
BUSY = Cause("the store fails, or is asked too often", "wait until it is well again")
HANDLES = Cause("no more files may be opened", "raise the limit (ulimit -n)")
MEMORY = Cause("there is not enough memory", "free memory, or use fewer workers")
KILLED = Cause("a process was killed or lost", "look for the reason (memory, node)")
STOOD_STILL = Cause("a process stood still", "look for the reason (storage, memory, node)")

_ERRNOS: dict[Cause, tuple[str, ...]] = {
    FULL: ("ENOSPC", "EDQUOT", "EFBIG"),
    READ_ONLY: ("EROFS",),
    BROKEN: ("EIO", "ESTALE", "ENXIO", "ENODEV", "EREMOTEIO", "EUCLEAN", "EBADMSG"),
    SILENT: (
        *("ETIMEDOUT", "ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "ENOTCONN"),
        *("EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENETRESET"),
    ),
    REFUSED: ("EACCES", "EPERM"),
    HANDLES: ("EMFILE", "ENFILE"),
    MEMORY: ("ENOMEM",),
}
# By name, because not every system has all of them.
_BY_ERRNO = {getattr(errno, name): cause for cause, names in _ERRNOS.items() for name in names if hasattr(errno, name)}
# The errno in the text of an error that carries none: Arrow writes "[errno 28]", Rust "(os error 28)".
_WRITTEN_ERRNO = re.compile(r"\[errno (\d+)\]|\(os error (\d+)\)", re.IGNORECASE)
# What stores write, in lower case; the first that is found counts. S3's codes: API reference, error responses.
_TEXTS: dict[Cause, tuple[str, ...]] = {
    CREDENTIALS: ("expiredtoken", "invalidtoken", "has expired", "invalidaccesskeyid", "signaturedoesnotmatch"),
    REFUSED: ("access denied", "accessdenied", "access_denied", "permission denied", "403 forbidden", "401 unauth"),
    BUSY: (
        *("http status 5", "http status code 5", "http status 429"),
        *("slowdown", "slow_down", "throttl", "too many requests", "reduce your request rate", "internalerror"),
        *("internal_failure", "service_unavailable", "service unavailable", "internal server error"),
        *("bad gateway", "gateway timeout"),
    ),
    SILENT: (
        *("network_connection", "error sending request", "timed out", "timeout was reached", "operation timeout"),
        *("connection refused", "connection reset", "connection closed", "dns error", "request_timeout"),
        *("error decoding response body", "request or response body error", "end of file before message length"),
    ),
    FULL: ("no space left on device", "quota exceeded"),
    READ_ONLY: ("read-only file system",),
    BROKEN: ("input/output error", "stale file handle"),
    MEMORY: ("cannot allocate memory", "can't allocate memory"),
}
_WITHOUT_ERRNO: tuple[tuple[type[OSError], Cause], ...] = (
    (PermissionError, REFUSED),
    (TimeoutError, SILENT),
    (ConnectionError, SILENT),
)
# Where errors come from whose text is that of a storage. "_internal" is deltalake, as it names its own errors.
_STORAGE = ("obstore", "deltalake", "_internal", "safetensors", "pyarrow")
_SYSTEM = ("OSError", *(kind.__name__ for kind, _ in _WITHOUT_ERRNO), "SafetensorError", "DeltaError")


def owner_of(error: BaseException) -> Owner:
    """Return whose an error is."""
    if isinstance(error, UserError):
        return "user"
    return "machine" if fault_of(error) else "ours"


def fault_of(error: BaseException, *, place: str = "", of_source: bool = False) -> MachineFault | None:
    """Return the machine's fault that an error is; None where it is none.

    place: where it happened, for people; it must name no patient. "" = not known
    of_source: the error came from a file of a source: a missing permission is that file's alone, and so is all that
        has no errno
    """
    if isinstance(error, MachineFault):
        return error
    if of_source and not (isinstance(error, OSError) and error.errno):
        return None  # a decoder's own words
    cause = _cause_of(error)
    if cause is None or (of_source and cause is REFUSED):
        return None
    return machine_fault(cause, place=place)


def passes(error: BaseException) -> bool:
    """Return whether an error is of a kind that is often over after a moment: a busy store, a lost connection."""
    return _cause_of(error) in (BUSY, SILENT)


def fault_in_words(kind: str, text: str) -> MachineFault | None:
    """Return the machine's fault of an error of which only its class's name and its text are left."""
    name = kind.rpartition(".")[2]
    for kind_of_fault in (MachineFault, WorkerLost):
        if name == kind_of_fault.__name__:
            return kind_of_fault(text)
    if name == MemoryError.__name__:
        return machine_fault(MEMORY)
    cause = _cause_written(text) if name in _SYSTEM else None
    return machine_fault(cause) if cause else None


def machine_fault(cause: Cause, *, place: str = "", detail: str = "") -> MachineFault:
    """Return a fault as the command line prints it. place: names no patient;  detail: what more is known."""
    where = f" ({place})" if place else ""
    more = f", {detail}" if detail else ""
    kind = WorkerLost if cause in {KILLED, STOOD_STILL} else MachineFault
    return kind(f"{cause.what}{where}{more}: {cause.remedy}, then start the same command again, it goes on")


@contextmanager
def storage(place: object, *, num_bytes: int = 0, always: bool = False) -> Iterator[None]:
    """Raise MachineFault, naming the place, for what a storage of ours does to the block.

    place: path, URI or name; it must name no patient
    num_bytes: wanted there; 0 = not known
    always: every OSError but a missing file is the storage's, also one that says nothing of itself
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        wanted = f", {num_bytes / 1e6:.1f} MB are wanted" if num_bytes else ""
        fault = None if isinstance(error, MachineFault) else fault_of(error, place=f"{place}{wanted}")
        if fault is None and always and isinstance(error, OSError):
            fault = machine_fault(BROKEN, place=str(place), detail=type(error).__name__)
        if fault is None:
            raise
        raise fault from error


def raise_fault(error: BaseException) -> None:
    """Raise MachineFault where reading a file of a source failed by the machine's fault; else return."""
    if fault := fault_of(error, place="the source", of_source=True):
        raise fault from error


def _cause_of(error: BaseException) -> Cause | None:
    if isinstance(error, MemoryError):
        return MEMORY
    if isinstance(error, OSError):
        if error.errno is not None:
            return _BY_ERRNO.get(error.errno)
        known = next((cause for kind, cause in _WITHOUT_ERRNO if isinstance(error, kind)), None)
        return known or (None if isinstance(error, FileNotFoundError) else _cause_written(str(error)))
    if type(error).__module__.partition(".")[0] in _STORAGE:
        return _cause_written(str(error))
    if isinstance(error, RuntimeError):  # torch's allocator; of other texts of a RuntimeError nothing is known
        return next((MEMORY for text in _TEXTS[MEMORY] if text in str(error)), None)
    return None


def _cause_written(text: str) -> Cause | None:
    if found := _WRITTEN_ERRNO.search(text):
        return _BY_ERRNO.get(int(found[1] or found[2]))
    lower = text.lower()
    return next((cause for cause, parts in _TEXTS.items() if any(part in lower for part in parts)), None)
