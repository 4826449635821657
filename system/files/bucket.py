"""Objects of a bucket, by names below a URI.

Credentials and endpoint come from the usual AWS_… environment variables.
"""

import secrets
from pathlib import Path

from system.errors import UserError

# obstore wraps the object_store crate that deltalake uses; pyarrow has no conditional put.
# It is imported where it is used, because few commands need it.


def put_new(uri: str, name: str, data: bytes) -> bool:
    """Write an object unless one has its name already (conditional put), and return whether it was written."""
    import obstore
    from obstore.exceptions import AlreadyExistsError
    from obstore.store import from_url

    try:
        obstore.put(from_url(uri), name, data, mode="create")
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
    from obstore.store import from_url

    obstore.put(from_url(uri), name, path)


def get(uri: str, name: str) -> bytes:
    """Return the content of an object. Raises FileNotFoundError where there is none."""
    import obstore
    from obstore.store import from_url

    return bytes(obstore.get(from_url(uri), name).bytes())


def fetch(uri: str, name: str, path: Path) -> None:
    """Write an object into a file, part by part. Raises FileNotFoundError where there is none."""
    import obstore
    from obstore.store import from_url

    with path.open("wb") as file:
        for part in obstore.get(from_url(uri), name).stream():
            file.write(part)


def names(uri: str) -> list[str]:
    """Return the names of the objects below the URI, in no given order."""
    import obstore
    from obstore.store import from_url

    return [found["path"] for page in obstore.list(from_url(uri)) for found in page]


def remove(uri: str, name: str) -> None:
    """Remove an object, if there is one."""
    import obstore
    from obstore.store import from_url

    obstore.delete(from_url(uri), name)
