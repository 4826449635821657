"""One Delta table: read it at a version, and upsert rows.

Upserts are safe to repeat and safe with many writers at once.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError

from system.errors import UserError
from system.faults import fault_of, passes
from system.files.atomic import sync_file
from system.files.bucket import DELTA_OPTIONS
from system.files.retries import retried

_LOG = "_delta_log"
NO_TABLE = -1  # stands for the version of a table that does not exist yet

Result = TypeVar("Result")


class Outdated(RuntimeError):
    """The table has changed since the rows to write were computed: compute them again from its newest version."""


def current_version(uri: str) -> int | None:
    """Return the table's newest version; None when there is no table. Raises as `read` does."""
    return _retried(uri, lambda: _load(uri).version() if _is_table(uri) else None)


def table_id(uri: str) -> str | None:
    """Return the id that the table was given when it was created (Delta protocol, metaData.id).

    A copy keeps it; None when there is no table. Raises as `read` does.
    """
    return _retried(uri, lambda: str(_load(uri).metadata().id) if _is_table(uri) else None)


def read(
    uri: str, *, schema: pa.Schema, version: int | None, columns: list[str] | None, where: pc.Expression | None = None
) -> pa.Table:
    """Return the rows of one version, in the schema's columns and types; no rows when there is no table.

    version: None = the newest
    columns: None = all
    where: filter of rows; None = all

    Raises UserError for a damaged table, MachineFault for what its storage does.
    """
    wanted = schema if columns is None else pa.schema([schema.field(name) for name in columns])

    def rows() -> pa.Table:
        if not _is_table(uri):
            return wanted.empty_table()
        dataset = _load(uri, version=version).to_pyarrow_dataset(schema=schema)
        return dataset.to_table(columns=wanted.names, filter=where).cast(wanted)

    return _retried(uri, rows, version=version)


def one_of(column: str, values: Iterable[str]) -> pc.Expression:
    """Return the filter for rows whose text column holds one of the values.

    The cast keeps Arrow from comparing with the files' statistics: they are string views, for which Arrow 26 has no
    comparison.
    """
    return pc.field(column).cast(pa.large_string()).isin(pa.array(values, pa.large_string()))


def upsert(uri: str, rows: pa.Table, *, schema: pa.Schema, key: tuple[str, ...], based_on: int | None = None) -> int:
    """Insert new rows, replace changed ones, and return the version that holds them; equal rows make no new version.

    based_on: the version the rows were computed from, NO_TABLE where there was none; None = they do not depend on one

    Raises:
        ValueError: the columns are not the schema's, a key is null, or two rows have one key.
        Outdated: the table has a newer version than `based_on`.
        UserError, MachineFault: as of `read`.
    """
    rows = _checked(rows, schema=schema, key=key)
    with _table_of(uri):
        if based_on is not None:
            version = _merge_at(uri, rows, schema=schema, key=key, version=based_on)
        else:
            version = _retried(uri, lambda: _merge(_create(uri, schema), rows, schema=schema, key=key))
        _sync(uri, version)
    return version


def remove(uri: str, values: list[str], *, column: str) -> None:
    """Delete the rows whose column holds one of the values; without such rows nothing is written."""
    if not values or not _is_table(uri):
        return
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    with _table_of(uri):
        _retried(uri, lambda: _load(uri).delete(f"{column} IN ({quoted})"))
        _sync(uri, _load(uri).version())


def compact(uri: str, *, min_files: int) -> None:
    """Join the small files of many upserts once there are at least `min_files`; reading returns the same rows."""
    if _is_table(uri) and len(_load(uri).file_uris()) >= min_files:
        _retried(uri, lambda: _compact(uri))


def _compact(uri: str) -> None:
    """Compact the newest version, which a retry must load again."""
    _load(uri).optimize.compact()


def _retried(uri: str, do: Callable[[], Result], *, version: int | None = None) -> Result:
    """Call `do`; where another writer has committed first, or the store failed for a moment, wait and call it again.

    version: that is read, for the errors; None = the newest
    """
    with _table_of(uri, version=version):
        _check_log(uri)
        return retried(do, again=_may_pass, what=f"table {_name_of(uri)}")


def _may_pass(error: Exception) -> bool:
    return isinstance(error, CommitFailedError) or passes(error)


@contextmanager
def _table_of(uri: str, *, version: int | None = None) -> Iterator[None]:
    """Raise MachineFault for what the storage does, and UserError for a damaged table."""
    try:
        yield
    except (CommitFailedError, SchemaMismatchError):
        raise
    except (DeltaError, OSError, pa.ArrowInvalid) as error:
        if fault := fault_of(error, place=f"table {_name_of(uri)} of the archive"):
            raise fault from error
        which = "" if version is None else f"read at version {version}: "
        raise _damaged(uri, which + _first_words(error)) from error


def _check_log(uri: str) -> None:
    """Raise UserError where a commit of a folder's table is empty, or its log is gone.

    deltalake takes the one for a commit that changed nothing, the other for no table.
    """
    if "://" in uri:
        return
    if empty := [path.name for path in Path(uri, _LOG).glob("*.json") if not path.stat().st_size]:
        raise _damaged(uri, f"commit {empty[0]} is empty")
    if any(Path(uri).glob("*.parquet")) and not Path(uri, _LOG).is_dir():
        raise _damaged(uri, f"it has data and no {_LOG}")


def _damaged(uri: str, what: str) -> UserError:
    return UserError(
        f"table {_name_of(uri)} of the archive is damaged ({what}): restore its folder, log and files, from a copy"
    )


def _sync(uri: str, version: int) -> None:
    """Bring a commit of a folder's table and the files that it adds to disk; deltalake leaves that to the system."""
    commit = Path(uri, _LOG, f"{version:020d}.json")
    if "://" in uri or not commit.exists():
        return
    actions = [json.loads(line) for line in commit.read_text(encoding="utf8").splitlines()]
    for added in (action["add"]["path"] for action in actions if "add" in action):
        if (path := Path(uri, added)).exists():
            sync_file(path)
    for path in (Path(uri), commit, commit.parent):
        sync_file(path)


def _is_table(uri: str) -> bool:
    return DeltaTable.is_deltatable(uri, storage_options=_options(uri))


def _create(uri: str, schema: pa.Schema) -> DeltaTable:
    return DeltaTable.create(uri, schema=schema, mode="ignore", storage_options=_options(uri))


def _load(uri: str, *, version: int | None = None) -> DeltaTable:
    return DeltaTable(uri, version=version, storage_options=_options(uri))


def _options(uri: str) -> dict[str, str]:
    return DELTA_OPTIONS if "://" in uri else {}


def _name_of(uri: str) -> str:
    return uri.rstrip("/").rsplit("/", 1)[-1]


def _first_words(error: Exception) -> str:
    """Return the beginning of an error's text, without the traces of Rust that follow it."""
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__


def _merge_at(uri: str, rows: pa.Table, *, schema: pa.Schema, key: tuple[str, ...], version: int) -> int:
    """Merge on top of exactly this version, or raise Outdated."""
    if version == NO_TABLE:
        _retried(uri, lambda: _create(uri, schema))
        table = _load(uri)
        outdated = bool(
            table.file_uris()
        )  # not the version number: two writers that create the table at once may commit twice
    else:
        table = _load(uri)
        outdated = table.version() != version
    if outdated:
        raise Outdated(
            f"the table is at version {table.version()}, the rows were computed from version {version}: "
            "compute them again"
        )
    try:
        return _merge(table, rows, schema=schema, key=key, max_commit_retries=0)
    except CommitFailedError as error:
        raise Outdated("another writer committed first: compute the rows again") from error


def _merge(
    table: DeltaTable, rows: pa.Table, *, schema: pa.Schema, key: tuple[str, ...], max_commit_retries: int | None = None
) -> int:
    """Merge the new and the changed rows, on top of the version that is loaded; return the version that holds them."""
    present = table.to_pyarrow_dataset(schema=schema).to_table(
        columns=schema.names, filter=one_of(key[0], rows[key[0]].to_pylist())
    )
    changed = _not_in(rows, present)
    if changed.num_rows:
        condition = " AND ".join(f"target.{name} = source.{name}" for name in key)
        commit = CommitProperties(max_commit_retries=max_commit_retries)
        merge = table.merge(
            changed,
            predicate=condition,
            source_alias="source",
            target_alias="target",
            commit_properties=commit,
            merge_schema=True,
        )
        merge.when_matched_update_all().when_not_matched_insert_all().execute()
    return table.version()


def _not_in(rows: pa.Table, present: pa.Table) -> pa.Table:
    """Return the rows without those that `present` holds with the same values; a null equals a null."""
    if not present.num_rows:
        return rows
    there = set(zip(*(column.to_pylist() for column in present.itercolumns()), strict=True))
    found = zip(*(column.to_pylist() for column in rows.itercolumns()), strict=True)
    return rows.filter(pa.array([row not in there for row in found], pa.bool_()))


def _checked(rows: pa.Table, *, schema: pa.Schema, key: tuple[str, ...]) -> pa.Table:
    """Return the rows in the schema's order and types. Raises ValueError for wrong columns, null and doubled keys."""
    if set(rows.column_names) != set(schema.names):
        missing = sorted(set(schema.names) - set(rows.column_names))
        extra = sorted(set(rows.column_names) - set(schema.names))
        raise ValueError(f"rows do not have the table's columns: missing {missing}, unknown {extra}")
    rows = rows.select(schema.names).cast(schema)
    if any(rows[name].null_count for name in key):
        raise ValueError(f"a row has no value in its key {list(key)}: give every row a key")
    if rows.group_by(list(key)).aggregate([]).num_rows != rows.num_rows:
        raise ValueError(f"two rows have the same key {list(key)}: keep one of them")
    return rows
