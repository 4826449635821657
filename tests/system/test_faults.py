"""Whose an error is: a table of what Python, Arrow, Delta, safetensors and the stores raise."""

import errno
import pickle

import pyarrow as pa
import pytest
from deltalake.exceptions import CommitFailedError, DeltaError
from obstore.exceptions import GenericError, NotFoundError, PermissionDeniedError
from safetensors import SafetensorError

from system.errors import MachineFault, NotFinished, UserError, WorkerLost
from system.faults import (
    BROKEN,
    BUSY,
    CREDENTIALS,
    FULL,
    HANDLES,
    KILLED,
    MEMORY,
    READ_ONLY,
    REFUSED,
    SILENT,
    Cause,
    fault_in_words,
    fault_of,
    machine_fault,
    owner_of,
    passes,
    raise_fault,
    storage,
)

# The texts are those that the libraries were seen to write.
S3 = "Generic S3 error\n \x1b[31m↳\x1b[0m Error performing GET http://s3/b?list-type=2 in 2.6s, after 10 retries"
MACHINES = [
    (OSError(errno.ENOSPC, "No space left on device"), FULL),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), FULL),
    (OSError(errno.EROFS, "Read-only file system"), READ_ONLY),
    (OSError(errno.EIO, "Input/output error"), BROKEN),
    (OSError(errno.ESTALE, "Stale file handle"), BROKEN),
    (OSError(errno.ETIMEDOUT, "Connection timed out"), SILENT),
    (ConnectionResetError("peer"), SILENT),
    (TimeoutError("late"), SILENT),
    (PermissionError(errno.EACCES, "Permission denied"), REFUSED),
    (OSError(errno.EMFILE, "Too many open files"), HANDLES),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), MEMORY),
    (MemoryError(), MEMORY),
    (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), MEMORY),
    (OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"), FULL),
    (SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), FULL),
    (DeltaError("External: Generic LocalFileSystem error: Unable to copy data to file: (os error 28)"), FULL),
    (DeltaError("Generic LocalFileSystem error: Read-only file system (os error 30)"), READ_ONLY),
    (pa.ArrowException("Input/output error"), BROKEN),
    (OSError("When reading: AWS Error ACCESS_DENIED during HeadObject operation: No response body."), REFUSED),
    (OSError("AWS Error UNKNOWN (HTTP status 503) during HeadObject operation: No response body."), BUSY),
    (OSError("AWS Error SLOW_DOWN during PutObject operation: Please reduce your request rate."), BUSY),
    (OSError("AWS Error NETWORK_CONNECTION during GetObject operation: curlCode: 18, partial file"), SILENT),
    (OSError(f"{S3} - Server returned non-2xx status code\n ↳ 503 Service Unavailable"), BUSY),
    (OSError(f"{S3} ↳ 403 Forbidden\n ↳ <Error><Code>ExpiredToken</Code>"), CREDENTIALS),
    (OSError("Generic S3 error ↳ HTTP error ↳ request or response body error ↳ end of file before"), SILENT),
    (GenericError("Generic S3 error: Error performing PUT in 2.4s: 500 Internal Server Error"), BUSY),
    (GenericError("Generic S3 error: HTTP error: error sending request"), SILENT),
    (PermissionDeniedError("The operation lacked the necessary privileges: 403 Forbidden"), REFUSED),
]
OURS = [
    ValueError("No space left on device"),
    OSError("image file is truncated (3 bytes not processed)"),
    FileNotFoundError(errno.ENOENT, "No such file or directory"),
    IsADirectoryError(errno.EISDIR, "Is a directory"),
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    NotFoundError("Object at location a not found"),
    CommitFailedError("a concurrent transaction changed the table"),
    RuntimeError("shapes differ"),
    pa.ArrowInvalid("Not a Parquet file"),
    KeyError("x"),
]


@pytest.mark.parametrize(("error", "cause"), MACHINES, ids=lambda value: str(value)[:40])
def test_a_fault_of_the_machine_says_what_failed_and_what_to_do(error: Exception, cause: Cause) -> None:
    assert owner_of(error) == "machine"
    expected = f"{cause.what} (/data/run): {cause.remedy}, then start the same command again, it goes on"
    assert str(fault_of(error, place="/data/run")) == expected


@pytest.mark.parametrize("error", OURS, ids=repr)
def test_what_the_machine_did_not_do_is_ours(error: Exception) -> None:
    assert owner_of(error) == "ours"
    assert fault_of(error) is None


@pytest.mark.parametrize("error", [UserError("x"), NotFinished("x")])
def test_a_mistake_is_the_users(error: Exception) -> None:
    assert owner_of(error) == "user"


def test_no_file_is_named() -> None:
    fault = fault_of(OSError(errno.EIO, "Input/output error", "/source/DOE^JANE/1.dcm"))
    assert "DOE" not in str(fault)


@pytest.mark.parametrize(
    ("error", "machines"),
    [
        (OSError(errno.EIO, "x"), True),
        (OSError(errno.ESTALE, "x"), True),
        (OSError(errno.ENOSPC, "x"), True),
        (OSError(errno.ETIMEDOUT, "x"), True),
        (OSError(errno.EACCES, "x"), False),
        (OSError(errno.ENOENT, "x"), False),
        (OSError(errno.EISDIR, "x"), False),
        (OSError("connection reset"), False),
        (ValueError("x"), False),
    ],
)
def test_of_a_file_of_a_source_only_what_errno_says_is_the_machines(error: Exception, machines: bool) -> None:
    if machines:
        with pytest.raises(MachineFault, match=r"\(the source\)"):
            raise_fault(error)
    else:
        raise_fault(error)


@pytest.mark.parametrize(
    ("kind", "text", "fault"),
    [
        ("OSError", "[Errno 28] No space left on device: '/a/b'", machine_fault(FULL)),
        ("system.errors.MachineFault", "as it was written", MachineFault("as it was written")),
        ("system.errors.WorkerLost", "as it was written", WorkerLost("as it was written")),
        ("MemoryError", "", machine_fault(MEMORY)),
        ("_internal.DeltaError", "Unable to copy: (os error 28)", machine_fault(FULL)),
        ("ValueError", "[Errno 28] No space left on device", None),
        ("OSError", "image file is truncated", None),
    ],
)
def test_a_fault_is_found_where_only_words_are_left(kind: str, text: str, fault: MachineFault | None) -> None:
    assert repr(fault_in_words(kind, text)) == repr(fault)


def test_a_storage_names_its_place_and_the_bytes_that_are_wanted() -> None:
    with (
        pytest.raises(MachineFault, match=r"no space is left on the storage \(/data/run, 4\.1 MB are wanted\): free"),
        storage("/data/run", num_bytes=4_100_000),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_fault_keeps_the_place_that_was_named_first() -> None:
    with pytest.raises(MachineFault, match=r"\(inner\)"), storage("outer"), storage("inner"):
        raise OSError(errno.EIO, "Input/output error")


def test_a_storage_of_ours_may_answer_for_all_but_a_missing_file() -> None:
    with pytest.raises(MachineFault, match=r"read or write \(pixels\), OSError"), storage("pixels", always=True):
        raise OSError("what the store wrote")
    with pytest.raises(FileNotFoundError), storage("pixels", always=True):
        raise FileNotFoundError
    with pytest.raises(OSError, match="what the store wrote"), storage("pixels"):
        raise OSError("what the store wrote")


def test_only_what_is_soon_over_is_tried_again() -> None:
    assert [passes(error) for error, _ in MACHINES] == [cause in {BUSY, SILENT} for _, cause in MACHINES]


def test_a_lost_worker_is_a_fault_that_another_try_may_mend_and_travels() -> None:
    lost = machine_fault(KILLED, detail="Ray: WorkerCrashedError")
    assert isinstance(lost, WorkerLost)
    assert not isinstance(machine_fault(FULL), WorkerLost)
    assert repr(pickle.loads(pickle.dumps(lost))) == repr(lost)
    assert not isinstance(lost, OSError | ValueError | RuntimeError)
