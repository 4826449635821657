"""One Delta table: read it at a version, and upsert rows.

Upserts are safe to repeat and safe with many writers at once.
"""

import logging
import random
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from system.errors import UserError

NUM_ATTEMPTS = 8
WAIT_S = 0.05  # doubled at each attempt, times a random 0.5 to 1.5
NO_TABLE = -1  # stands for the version of a table that does not exist yet
_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Outdated(RuntimeError):
    """The table has changed since the rows to write were computed: compute them again from its newest version."""


def current_version(uri: str) -> int | None:
    """Return the table's newest version; None when there is no table."""
    table = _open(uri)
    return None if table is None else table.version()


def table_id(uri: str) -> str | None:
    """Return the id that the table was given when it was created (Delta protocol, metaData.id).

    A copy keeps it; None when there is no table.
    """
    table = _open(uri)
    return None if table is None else str(table.metadata().id)


def read(
    uri: str, *, schema: pa.Schema, version: int | None, columns: list[str] | None, where: pc.Expression | None = None
) -> pa.Table:
    """Return the rows of one version, in the schema's columns and types; no rows when there is no table.

    version: None = the newest
    columns: None = all
    where: filter of rows; None = all
    """
    wanted = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    if (table := _open(uri, version=version)) is None:
        return wanted.empty_table()
    with _whole(uri):
        return table.to_pyarrow_dataset(schema=schema).to_table(columns=wanted.names, filter=where).cast(wanted)


def _open(uri: str, *, version: int | None = None) -> DeltaTable | None:
    """Return a table, None where there is none.

    Raises UserError for one whose log is damaged or incomplete, or does not reach back to the version.
    """
    folder = None if "://" in uri else Path(uri)
    if not DeltaTable.is_deltatable(uri):
        if folder and any(folder.glob("*.parquet")):
            raise _damaged(uri, "it has data and no _delta_log")
        return None
    if folder and any(not entry.stat().st_size for entry in folder.glob("_delta_log/*.json")):
        raise _damaged(uri, "an entry of its _delta_log is empty")  # Delta would read on without its rows
    try:
        return DeltaTable(uri, version=version)
    except DeltaError as error:
        if "object store" in str(error).lower():  # not the table's fault
            raise
        which = "" if version is None else f", read at version {version},"
        raise _damaged(uri, f"its _delta_log{which} is damaged or incomplete") from error


@contextmanager
def _whole(uri: str) -> Generator[None]:
    """Turn the error for a missing or damaged data file of a table into a UserError."""
    try:
        yield
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise _damaged(uri, "one of its data files is missing or damaged") from error
    except OSError as error:
        if "range was invalid" not in str(error):  # of a file that is shorter than its log says
            raise
        raise _damaged(uri, "one of its data files is cut") from error


def _damaged(uri: str, what: str) -> UserError:
    name = uri.rstrip("/").rsplit("/", 1)[-1]
    return UserError(f"table {name} of the archive cannot be read, {what}: restore the archive from a copy")


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
    """
    rows = _checked(rows, schema=schema, key=key)
    _open(uri)  # refuses a damaged one
    if based_on is not None:
        return _merge_at(uri, rows, schema=schema, key=key, version=based_on)
    return _retried(
        uri, lambda: _merge(DeltaTable.create(uri, schema=schema, mode="ignore"), rows, schema=schema, key=key)
    )


def remove(uri: str, values: list[str], *, column: str) -> None:
    """Delete the rows whose column holds one of the values; without such rows nothing is written."""
    if not values or _open(uri) is None:
        return
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    _retried(uri, lambda: DeltaTable(uri).delete(f"{column} IN ({quoted})"))


def compact(uri: str, *, min_files: int) -> None:
    """Join the small files of many upserts once there are at least `min_files`; reading returns the same rows."""
    table = _open(uri)
    if table is not None and len(table.file_uris()) >= min_files:
        _retried(uri, lambda: _compact(uri))


def _compact(uri: str) -> None:
    """Compact the newest version, which a retry must load again."""
    DeltaTable(uri).optimize.compact()


def _retried(uri: str, commit: Callable[[], Result]) -> Result:
    """Call `commit`; when another writer has committed first, wait and call it again, up to NUM_ATTEMPTS times."""
    for attempt in range(NUM_ATTEMPTS):
        try:
            return commit()
        except CommitFailedError as error:
            if attempt == NUM_ATTEMPTS - 1:
                raise
            wait_s = WAIT_S * 2**attempt * random.uniform(0.5, 1.5)  # jitter between writers; no result depends on it
            _log.info(
                "table %s: another writer was first (%s), trying again in %.2f s",
                uri.rsplit("/", 1)[-1],
                type(error).__name__,
                wait_s,
            )
            time.sleep(wait_s)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _merge_at(uri: str, rows: pa.Table, *, schema: pa.Schema, key: tuple[str, ...], version: int) -> int:
    """Merge on top of exactly this version, or raise Outdated."""
    if version == NO_TABLE:
        _retried(uri, lambda: DeltaTable.create(uri, schema=schema, mode="ignore"))
        table = DeltaTable(uri)
        outdated = bool(
            table.file_uris()
        )  # not the version number: two writers that create the table at once may commit twice
    else:
        table = DeltaTable(uri)
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
    with _whole(table.table_uri):
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
