"""Archive: tables, pixels and keyed ids of one hospital under one URI, a folder or s3://."""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from system.archive import delta
from system.archive.bucket import check_conditional_put, put_new
from system.archive.pixels import PixelStore
from system.archive.tables import KEYS, SCHEMAS
from system.imaging import ImagingConfig

SCHEMA_VERSION = 1
SITE_KEY_BYTES = 32
MIN_FILES_TO_COMPACT = 20  # of one table
ID_HEX_DIGITS = 24  # 96 bits: no two of a billion ids meet
DESCRIPTION, SITE_KEY = "archive.json", "site.key"
SITE_KEY_VARIABLE = "MAMMOLOOP_SITE_KEY_FILE"  # environment; where the key lies when not in the archive's folder


@dataclass(frozen=True)
class Archive:
    """An opened archive. Cheap to make and to pickle; holds no connection and no secret."""

    uri: str
    imaging: ImagingConfig
    key_fingerprint: str  # first 16 hex digits of the site key's sha256
    pins: dict[str, int] | None = field(default=None)  # table -> version; None: always the newest

    @classmethod
    def create(cls, uri: str | Path, *, imaging: ImagingConfig, site_key: bytes = b"") -> "Archive":
        """Return the archive at a URI, made if it is not there.

        site_key: 32 bytes; empty = a random one for a new archive, the kept one for an old one. Raises ValueError when what is there
        was made with another imaging config or another key.
        """
        uri = _absolute(uri)
        files, root = _file_system(uri)
        if not _exists(files, f"{root}/{DESCRIPTION}"):
            files.create_dir(root, recursive=True)
            if "://" in uri:
                check_conditional_put(uri)
            key = _kept_or_new_key(uri, site_key=site_key)
            described = {"schema_version": SCHEMA_VERSION, "imaging": imaging.model_dump(), "site_key_fingerprint": _fingerprint(key)}
            _write_first(uri, DESCRIPTION, json.dumps(described, indent=1, sort_keys=True).encode(), mode=0o644)
        archive = cls.open(uri)
        if archive.imaging != imaging:
            raise ValueError(f"the archive keeps views as {archive.imaging}, asked for {imaging}: use its size or another URI")
        if site_key and _fingerprint(site_key) != archive.key_fingerprint:
            raise ValueError("the archive was made with another site key: its ids would not match; use its key or another URI")
        return archive

    @classmethod
    def open(cls, uri: str | Path) -> "Archive":
        """Return the archive at a URI. Raises FileNotFoundError when there is none, ValueError for another schema version."""
        uri = _absolute(uri)
        files, root = _file_system(uri)
        if not _exists(files, f"{root}/{DESCRIPTION}"):
            raise FileNotFoundError(f"there is no archive at {uri}: ingest into it first")
        with files.open_input_file(f"{root}/{DESCRIPTION}") as file:
            described = json.loads(file.read())
        if (found := described.get("schema_version")) != SCHEMA_VERSION:
            raise ValueError(f"the archive has schema {found}, this is schema {SCHEMA_VERSION}: read it with the version that wrote it")
        return cls(uri=uri, imaging=ImagingConfig(**described["imaging"]), key_fingerprint=described["site_key_fingerprint"])

    def pinned(self, versions: dict[str, int]) -> "Archive":
        """Return the archive as it was at these versions; a table that is not named did not exist yet and reads empty."""
        return Archive(uri=self.uri, imaging=self.imaging, key_fingerprint=self.key_fingerprint, pins=dict(versions))

    def versions(self) -> dict[str, int]:
        """Return each existing table's version: what a run pins."""
        if self.pins is not None:
            return dict(self.pins)
        found = {name: delta.current_version(self._table_uri(name)) for name in SCHEMAS}
        return {name: version for name, version in found.items() if version is not None}

    def table(
        self, name: str, *, version: int | None = None, columns: list[str] | None = None, where: pc.Expression | None = None
    ) -> pa.Table:
        """Return a table's rows, in no given order. version: None = the pinned one, else the newest; columns, where: None = all."""
        schema = _known(name)
        if version is None and self.pins is not None:
            if name not in self.pins:
                return (schema if columns is None else pa.schema([schema.field(column) for column in columns])).empty_table()
            version = self.pins[name]
        return delta.read(self._table_uri(name), schema=schema, version=version, columns=columns, where=where)

    def upsert(self, name: str, rows: pa.Table, *, based_on: int | None = None) -> int:
        """Insert or replace rows by the table's key and return the version that holds them; equal rows change nothing.

        based_on: the version the rows were decided from, as `version` gives it. Raises delta.Outdated when there is a newer one.
        """
        self._check_writable()
        return delta.upsert(self._table_uri(name), rows, schema=_known(name), key=KEYS[name], based_on=based_on)

    def remove(self, name: str, values: list[str]) -> None:
        """Delete rows by the first column of the table's key."""
        self._check_writable()
        delta.remove(self._table_uri(name), values, column=KEYS[name][0])

    def version(self, name: str) -> int:
        """Return a table's newest version, delta.NO_TABLE where there is none."""
        found = delta.current_version(self._table_uri(name))
        return delta.NO_TABLE if found is None else found

    def compact(self) -> None:
        """Join the small files that many upserts leave behind; pinned versions stay readable."""
        for name in SCHEMAS:
            delta.compact(self._table_uri(name), min_files=MIN_FILES_TO_COMPACT)

    def put_pixels(self, array: np.ndarray) -> str:
        """Store [H, W] uint16, uint8 or bool and return its sha, before the row that names it is written."""
        return self._pixels.put(array)

    def pixels(self, sha: str) -> np.ndarray:
        """Return stored pixels [H, W] uint16 or uint8, checked against their hash."""
        return self._pixels.get(sha)

    def identifier(self, kind: str, raw: str) -> str:
        """Return the keyed hash that stands for a raw id. kind: patient, study, image, file, stamp or shift.

        The same raw id differs between kinds.
        """
        return hmac.new(_site_key(self.uri, self.key_fingerprint), f"{kind}:{raw}".encode(), hashlib.sha256).hexdigest()[:ID_HEX_DIGITS]

    @property
    def _pixels(self) -> PixelStore:
        files, root = _file_system(self.uri)
        return PixelStore(files, f"{root}/pixels")

    def _check_writable(self) -> None:
        if self.pins is not None:
            raise ValueError("this archive is pinned to versions and only read: write to Archive.open(uri)")

    def _table_uri(self, name: str) -> str:
        return f"{self.uri.rstrip('/')}/tables/{name}"


def _known(name: str) -> pa.Schema:
    if name not in SCHEMAS:
        raise ValueError(f"there is no table {name!r}: the archive has {sorted(SCHEMAS)}")
    return SCHEMAS[name]


def _absolute(uri: str | Path) -> str:
    """Return the URI, a plain path made absolute: workers stand in other folders than the driver."""
    text = str(uri)
    return text if "://" in text else Path(text).resolve().as_posix()


def _file_system(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a URI or of an absolute path, and the root in it."""
    if "://" in uri:
        files, root = fs.FileSystem.from_uri(uri)
        return files, root.rstrip("/")
    return fs.LocalFileSystem(), uri


def _exists(files: fs.FileSystem, path: str) -> bool:
    return files.get_file_info(path).type is not fs.FileType.NotFound


def _write_first(uri: str, name: str, data: bytes, *, mode: int) -> None:
    """Write a file whole, unless it is there: of several jobs that start an archive at once one writes it, the others find it.

    mode: permission bits, of a file in a folder
    """
    if "://" in uri:
        put_new(uri, name, data)
        return
    temporary = Path(uri) / f"{name}.{secrets.token_hex(8)}.part"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(temporary, Path(uri) / name)
    temporary.unlink()


def _fingerprint(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:16]


@lru_cache(maxsize=8)
def _site_key(uri: str, fingerprint: str) -> bytes:
    """Return the archive's key, read once per process. Raises ValueError when it is absent or not the one the archive was made with."""
    place = _key_place(uri)
    if not place.is_file():
        raise ValueError(f"there is no site key at {place}: mount it there, or name its place in {SITE_KEY_VARIABLE}")
    key = place.read_bytes()
    if _fingerprint(key) != fingerprint:
        raise ValueError(f"{place.name} is not the key this archive was made with: put the right one back")
    return key


def _key_place(uri: str) -> Path:
    """Return where the site key lies: where the environment says (a mounted Secret), else beside the tables of a folder.

    Raises ValueError for an object store without that: whoever reads the bucket must not be able to undo the ids.
    """
    if named := os.environ.get(SITE_KEY_VARIABLE):
        return Path(named)
    if "://" in uri:
        raise ValueError(f"the site key is not kept in a bucket: name its file in {SITE_KEY_VARIABLE}; it is made on first use")
    return Path(uri) / SITE_KEY


def _kept_or_new_key(uri: str, *, site_key: bytes) -> bytes:
    """Return the site key that is there, else write the given or a random one, readable by its owner only."""
    place = _key_place(uri)
    if place.exists():
        return place.read_bytes()
    key = site_key or secrets.token_bytes(SITE_KEY_BYTES)
    if len(key) != SITE_KEY_BYTES:
        raise ValueError(f"a site key has {SITE_KEY_BYTES} bytes, found {len(key)}")
    _write_first(place.parent.as_posix(), place.name, key, mode=0o600)
    return place.read_bytes()  # another job's, if it was first
