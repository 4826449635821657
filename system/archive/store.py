"""Archive: tables, pixels and keyed ids of one hospital under one URI, a folder or s3://."""

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
from pydantic import ValidationError

from system.archive import delta
from system.archive.pixels import PixelStore
from system.archive.tables import KEYS, SCHEMAS
from system.errors import UserError
from system.faults import storage
from system.files.atomic import PLAIN, PRIVATE, clear_partial, create
from system.files.bucket import check_conditional_put, put_new
from system.files.json_in import parse
from system.files.names import is_utf8, readable
from system.imaging import ImagingConfig

SCHEMA_VERSION = 1
SITE_KEY_BYTES = 32
MIN_FILES_TO_COMPACT = 20  # of one table
ID_HEX_DIGITS = 24  # 96 bits: no two of a billion ids are equal
ONLY_FOR_THE_OWNER = ("reports",)  # tables with texts
DESCRIPTION, SITE_KEY = "archive.json", "site.key"
SITE_KEY_VARIABLE = (
    "MAMMOLOOP_SITE_KEY_FILE"  # environment variable: path of the key, when it is not in the archive's folder
)


class NoArchive(UserError):
    """There is no archive where one was looked for."""


@dataclass(frozen=True)
class Archive:
    """An opened archive. Cheap to make and to pickle; holds no connection and no secret."""

    uri: str
    imaging: ImagingConfig
    key_fingerprint: str  # first 16 hex digits of the site key's sha256
    pins: dict[str, int] | None = field(default=None)  # table -> version; None = always the newest

    @classmethod
    def create(cls, uri: str | Path, *, imaging: ImagingConfig, site_key: bytes = b"") -> "Archive":
        """Return the archive at a URI; create it if it is not there.

        site_key: 32 bytes; empty = a random key for a new archive, its own key for an existing one

        Raises:
            UserError: the existing archive was made with another imaging config or another key.
            ValueError: the key does not have 32 bytes.
        """
        uri = _absolute(uri)
        with storage(f"archive {uri}"):
            _create(uri, imaging=imaging, site_key=site_key)
        archive = cls.open(uri)
        if archive.imaging != imaging:
            raise UserError(
                f"the archive keeps views as {archive.imaging}, the settings are {imaging}: use its size or another URI"
            )
        if site_key and _fingerprint(site_key) != archive.key_fingerprint:
            raise UserError(
                "the archive was made with another site key: its ids would not match; use its key or another URI"
            )
        return archive

    @classmethod
    def open(cls, uri: str | Path) -> "Archive":
        """Return the archive at a URI. Raises NoArchive when there is none, UserError for another schema version."""
        uri = _absolute(uri)
        with storage(f"archive {uri}"):
            files, root = _file_system(uri)
            if not _exists(files, f"{root}/{DESCRIPTION}"):
                raise NoArchive(f"there is no archive at {uri}: ingest into it first")
            with files.open_input_file(f"{root}/{DESCRIPTION}") as file:
                described = _description(file.read())
        if (found := described["schema_version"]) != SCHEMA_VERSION:
            raise UserError(
                f"the archive has schema {found}, this is schema {SCHEMA_VERSION}: "
                "read it with the version of mammoloop that wrote it"
            )
        try:
            imaging = ImagingConfig.model_validate(described["imaging"])
        except ValidationError as error:
            raise UserError(
                f"the archive keeps views that no network can take ({error.errors()[0]['msg']}): "
                "ingest into another one"
            ) from error
        return cls(uri=uri, imaging=imaging, key_fingerprint=str(described["site_key_fingerprint"]))

    def pinned(self, versions: dict[str, int]) -> "Archive":
        """Return the archive as it was at these versions of its tables.

        A table that is not named did not exist yet: it reads empty.
        """
        return Archive(uri=self.uri, imaging=self.imaging, key_fingerprint=self.key_fingerprint, pins=dict(versions))

    def versions(self) -> dict[str, int]:
        """Return the version of each existing table, for `pinned`."""
        if self.pins is not None:
            return dict(self.pins)
        found = {name: delta.current_version(self._table_uri(name)) for name in SCHEMAS}
        return {name: version for name, version in found.items() if version is not None}

    def table_ids(self) -> dict[str, str]:
        """Return the own id of each existing table: a moved or copied archive keeps them, no other archive has them."""
        found = {name: delta.table_id(self._table_uri(name)) for name in SCHEMAS}
        return {name: table_id for name, table_id in found.items() if table_id is not None}

    def table(self, name: str, *, columns: list[str] | None = None, where: pc.Expression | None = None) -> pa.Table:
        """Return a table's rows, in no given order: of the pinned version, else of the newest.

        columns: None = all
        where: filter of rows; None = all
        """
        schema, version = _known(name), None
        if self.pins is not None:
            if name not in self.pins:
                wanted = schema if columns is None else pa.schema([schema.field(column) for column in columns])
                return wanted.empty_table()
            version = self.pins[name]
        return delta.read(self._table_uri(name), schema=schema, version=version, columns=columns, where=where)

    def upsert(self, name: str, rows: pa.Table, *, based_on: int | None = None) -> int:
        """Insert or replace rows by the table's key and return the version that holds them; equal rows change nothing.

        based_on: the version the rows were computed from, as `version` returns it; None = they do not depend on one

        Raises delta.Outdated when there is a newer version than `based_on`.
        """
        self._check_writable()
        uri = self._table_uri(name)
        schema = _known(name)
        if name in ONLY_FOR_THE_OWNER and "://" not in uri:
            with storage(f"table {name} of the archive"):
                Path(uri).mkdir(parents=True, exist_ok=True)
                Path(uri).chmod(0o700)
        return delta.upsert(uri, rows, schema=schema, key=KEYS[name], based_on=based_on)

    def remove(self, name: str, values: list[str]) -> None:
        """Delete rows by the first column of the table's key."""
        self._check_writable()
        delta.remove(self._table_uri(name), values, column=KEYS[name][0])

    def version(self, name: str) -> int:
        """Return a table's newest version; delta.NO_TABLE where there is no table."""
        found = delta.current_version(self._table_uri(name))
        return delta.NO_TABLE if found is None else found

    def compact(self) -> None:
        """Join the small files that many upserts leave, and remove what killed writers left half written.

        Pinned versions stay readable.
        """
        for name in SCHEMAS:
            delta.compact(self._table_uri(name), min_files=MIN_FILES_TO_COMPACT)
        if "://" not in self.uri:
            clear_partial(Path(self.uri))

    def put_pixels(self, array: np.ndarray) -> str:
        """Store [H, W] uint16, uint8 or bool and return its sha; to be called before a row with that sha is written."""
        return self._pixels.put(array)

    def pixels(self, sha: str) -> np.ndarray:
        """Return stored pixels [H, W] uint16 or uint8, checked against their hash.

        Raises FileNotFoundError when they are absent, UserError when their file is damaged.
        """
        return self._pixels.get(sha)

    def identifier(self, kind: str, raw: str) -> str:
        """Return the keyed hash that stands for a raw id; it differs between kinds.

        kind: patient, study, image, birth, file, stamp or shift

        Raises UserError when the site key is absent or not the archive's.
        """
        text = f"{kind}:{raw}".encode("utf8", "surrogatepass")  # a path may hold bytes that are no UTF-8
        return hmac.new(_site_key(self.uri, self.key_fingerprint), text, hashlib.sha256).hexdigest()[:ID_HEX_DIGITS]

    @property
    def _pixels(self) -> PixelStore:
        files, root = _file_system(self.uri)
        return PixelStore(files, f"{root}/pixels")

    def _check_writable(self) -> None:
        if self.pins is not None:
            raise ValueError("this archive is pinned to versions and can only be read: write to Archive.open(uri)")

    def _table_uri(self, name: str) -> str:
        return f"{self.uri.rstrip('/')}/tables/{name}"


def _known(name: str) -> pa.Schema:
    if name not in SCHEMAS:
        raise ValueError(f"there is no table {name!r}: the archive has {sorted(SCHEMAS)}")
    return SCHEMAS[name]


def _absolute(uri: str | Path) -> str:
    """Return the URI, a plain path made absolute: workers have other working folders than the driver.

    Raises UserError for a path that is not UTF-8, which Arrow and Delta cannot open.
    """
    text = str(uri) if "://" in str(uri) else Path(uri).resolve().as_posix()
    if not is_utf8(text):
        raise UserError(
            f"the archive's path {readable(text)} is not UTF-8: rename its folders, or choose another place"
        )
    return text


def _file_system(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a URI or of an absolute path, and the root in it."""
    if "://" in uri:
        files, root = fs.FileSystem.from_uri(uri)
        return files, root.rstrip("/")
    return fs.LocalFileSystem(), uri


def _create(uri: str, *, imaging: ImagingConfig, site_key: bytes) -> None:
    """Make an archive unless one is there."""
    files, root = _file_system(uri)
    if _exists(files, f"{root}/{DESCRIPTION}"):
        return
    files.create_dir(root, recursive=True)
    if "://" in uri:
        check_conditional_put(uri)
    key = _kept_or_new_key(uri, site_key=site_key)
    described = {
        "schema_version": SCHEMA_VERSION,
        "imaging": imaging.model_dump(),
        "site_key_fingerprint": _fingerprint(key),
    }
    _write_first(uri, DESCRIPTION, json.dumps(described, indent=1, sort_keys=True).encode(), mode=PLAIN)


def _exists(files: fs.FileSystem, path: str) -> bool:
    return files.get_file_info(path).type is not fs.FileType.NotFound


def _write_first(uri: str, name: str, data: bytes, *, mode: int) -> None:
    """Write a whole file unless it is there: of several jobs that create an archive at once, the first one writes it.

    mode: permission bits; not used in a bucket
    """
    if "://" in uri:
        put_new(uri, name, data)
        return
    create(Path(uri) / name, data, mode=mode)


def _description(text: bytes) -> dict[str, object]:
    """Return what archive.json says. Raises UserError for a damaged one."""
    try:
        found = parse(text)
    except ValueError:
        found = None
    wanted = {"schema_version": int, "imaging": dict, "site_key_fingerprint": str}
    if not isinstance(found, dict) or not all(isinstance(found.get(key), kind) for key, kind in wanted.items()):
        raise UserError(f"{DESCRIPTION} is not what was written (it lacks one of {', '.join(wanted)}): restore it")
    return found


def _fingerprint(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:16]


@lru_cache(maxsize=8)
def _site_key(uri: str, fingerprint: str) -> bytes:
    """Return the archive's key, read once per process.

    Raises UserError when it is absent or not the one the archive was made with.
    """
    place = _key_place(uri)
    if not place.is_file():
        raise UserError(f"there is no site key at {place}: mount it there, or give its path in {SITE_KEY_VARIABLE}")
    with storage(f"{place.name} of the archive"):
        key = place.read_bytes()
    if _fingerprint(key) != fingerprint:
        raise UserError(f"{place.name} is not the key this archive was made with: put the right one back")
    return key


def _key_place(uri: str) -> Path:
    """Return the path of the site key: by SITE_KEY_VARIABLE (a mounted Secret), else beside the tables of a folder.

    Raises UserError for an object store without that variable: who can read the bucket must not be able to reverse the
    hashed ids.
    """
    if named := os.environ.get(SITE_KEY_VARIABLE):
        return Path(named)
    if "://" in uri:
        raise UserError(
            f"the site key is not kept in a bucket: name its file in {SITE_KEY_VARIABLE}; it is made on first use"
        )
    return Path(uri) / SITE_KEY


def _kept_or_new_key(uri: str, *, site_key: bytes) -> bytes:
    """Return the existing site key; without one, write the given or a random key, readable by its owner only."""
    place = _key_place(uri)
    if place.exists():
        return _read_key(place)
    key = site_key or secrets.token_bytes(SITE_KEY_BYTES)
    if len(key) != SITE_KEY_BYTES:
        raise ValueError(f"a site key has {SITE_KEY_BYTES} bytes, found {len(key)}")
    _write_first(place.parent.as_posix(), place.name, key, mode=PRIVATE)
    return _read_key(place)  # another job's key, if that job was first


def _read_key(place: Path) -> bytes:
    """Return a site key. Raises UserError for a file of another length: its ids could be looked up by anybody."""
    key = place.read_bytes()
    if len(key) != SITE_KEY_BYTES:
        raise UserError(
            f"{place.name}: a site key has {SITE_KEY_BYTES} bytes, found {len(key)}; restore the archive's own key, or "
            "remove the file before the first ingest to have a random one made"
        )
    return key
