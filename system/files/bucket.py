"""Objects of a bucket, by names below a URI.

Credentials and endpoint come from the usual AWS_… environment variables. Every function raises MachineFault where the
store does not answer, fails, or refuses the credentials, after it was asked again for about a minute.
"""

import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from system.errors import UserError
from system.faults import passes, storage
from system.files.retries import retried

if TYPE_CHECKING:
    from obstore.store import ObjectStore

# obstore wraps the object_store crate that deltalake uses; pyarrow has no conditional put.
# It is imported where it is used, because few commands need it.

# Errors 5xx, throttling and lost connections are asked again after a random time that grows; the crate's own first
# wait of 0.1 s makes ten of them last three seconds, which is shorter than many a store's bad moment.
NUM_RETRIES, FIRST_WAIT_S, LONGEST_WAIT_S, PATIENCE_S = 10, 0.5, 15.0, 120.0
DELTA_OPTIONS = {  # the same for deltalake
    "max_retries": str(NUM_RETRIES),
    "retry_timeout": f"{PATIENCE_S:g}s",
    "backoff_config.init_backoff": f"{FIRST_WAIT_S * 1000:g}ms",
    "backoff_config.max_backoff": f"{LONGEST_WAIT_S:g}s",
}

Result = TypeVar("Result")


def put_new(uri: str, name: str, data: bytes) -> bool:
    """Write an object unless one has its name already (conditional put), and return whether it was written."""
    import obstore
    from obstore.exceptions import AlreadyExistsError

    with storage(uri):
        try:
            obstore.put(_store(uri), name, data, mode="create")
        except AlreadyExistsError:
            return False
    return True


def check_conditional_put(uri: str) -> None:
    """Raise UserError for a store without conditional put.

    Two writers of one object would both succeed there, and the work of one would be lost without an error.
    """
    name = f"probe-{secrets.token_hex(8)}"
    puts = [put_new(uri, name, b"probe") for _ in range(2)]
    remove(uri, name)
    if all(puts):
        raise UserError(
            f"the store of {uri} does not honour If-None-Match (conditional put): writers would overwrite each other; "
            "use a store that does (AWS S3, MinIO, Ceph from 18), or a folder"
        )


def put_file(uri: str, name: str, path: Path) -> None:
    """Write a file as an object; an existing object is replaced."""
    import obstore

    with storage(uri):
        obstore.put(_store(uri), name, path)


def get(uri: str, name: str) -> bytes:
    """Return the content of an object. Raises FileNotFoundError where there is none."""
    import obstore

    return _read(uri, lambda store: bytes(obstore.get(store, name).bytes()))


def fetch(uri: str, name: str, path: Path) -> None:
    """Write an object into a file, part by part. Raises FileNotFoundError where there is none."""
    import obstore

    def copy(store: "ObjectStore") -> None:
        with path.open("wb") as file:
            for part in obstore.get(store, name).stream():
                file.write(part)

    _read(uri, copy)


def names(uri: str) -> list[str]:
    """Return the names of the objects below the URI, in no given order."""
    import obstore

    return _read(uri, lambda store: [found["path"] for page in obstore.list(store) for found in page])


def remove(uri: str, name: str) -> None:
    """Remove an object, if there is one."""
    import obstore

    with storage(uri):
        obstore.delete(_store(uri), name)


def _read(uri: str, read: Callable[["ObjectStore"], Result]) -> Result:
    """Return what reading gives; done again where the connection breaks off in the middle, which obstore leaves."""
    with storage(uri):
        return retried(lambda: read(_store(uri)), again=passes, what=uri)


def _store(uri: str) -> "ObjectStore":
    from obstore.store import from_url

    waits = {"init_backoff": timedelta(seconds=FIRST_WAIT_S), "max_backoff": timedelta(seconds=LONGEST_WAIT_S)}
    retries = {"max_retries": NUM_RETRIES, "retry_timeout": timedelta(seconds=PATIENCE_S)}
    return from_url(uri, retry_config=retries | {"backoff": waits | {"base": 2}})  # type: ignore[call-overload]
