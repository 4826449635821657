"""One Delta table: read it at a version, and upsert rows so that many writers and repeated calls do no harm."""

import logging
import random
import time

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

NUM_ATTEMPTS = 8
WAIT_S = 0.05  # doubled at each attempt, times a random 0.5 to 1.5
_log = logging.getLogger(__name__)


def current_version(uri: str) -> int | None:
    """Return the table's newest version; None when there is no table."""
    return DeltaTable(uri).version() if DeltaTable.is_deltatable(uri) else None


def read(uri: str, *, schema: pa.Schema, version: int | None, columns: list[str] | None) -> pa.Table:
    """Return the rows of a version (None: the newest), in the schema's columns and types; no rows when there is no table."""
    wanted = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    if not DeltaTable.is_deltatable(uri):
        return wanted.empty_table()
    rows = DeltaTable(uri, version=version).to_pyarrow_table(columns=wanted.names)
    return rows.select(wanted.names).cast(wanted)


def upsert(uri: str, rows: pa.Table, *, schema: pa.Schema, key: tuple[str, ...]) -> int:
    """Insert new rows, replace changed ones, and return the version that holds them; equal rows make no new version.

    Raises ValueError for columns that are not the schema's and for two rows of one key.
    """
    rows = _checked(rows, schema=schema, key=key)
    for attempt in range(NUM_ATTEMPTS):
        try:
            return _merge(uri, rows, schema=schema, key=key)
        except CommitFailedError as error:
            if attempt == NUM_ATTEMPTS - 1:
                raise
            wait_s = WAIT_S * 2**attempt * random.uniform(0.5, 1.5)  # jitter between writers; no result depends on it
            _log.info(
                "table %s: another writer was first (%s), trying again in %.2f s", uri.rsplit("/", 1)[-1], type(error).__name__, wait_s
            )
            time.sleep(wait_s)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _merge(uri: str, rows: pa.Table, *, schema: pa.Schema, key: tuple[str, ...]) -> int:
    """Merge the rows that are not there yet, on top of the newest version."""
    table = DeltaTable.create(uri, schema=schema, mode="ignore")
    changed = _not_in(rows, table.to_pyarrow_table(columns=schema.names).select(schema.names).cast(schema))
    if changed.num_rows:
        condition = " AND ".join(f"target.{name} = source.{name}" for name in key)
        merge = table.merge(changed, predicate=condition, source_alias="source", target_alias="target")
        merge.when_matched_update_all().when_not_matched_insert_all().execute()
    return table.version()


def _not_in(rows: pa.Table, present: pa.Table) -> pa.Table:
    """Return the rows that are not in `present` as they are, value for value; a null equals a null."""
    if not present.num_rows:
        return rows
    there = set(zip(*(column.to_pylist() for column in present.itercolumns()), strict=True))
    found = zip(*(column.to_pylist() for column in rows.itercolumns()), strict=True)
    return rows.filter(pa.array([row not in there for row in found], pa.bool_()))


def _checked(rows: pa.Table, *, schema: pa.Schema, key: tuple[str, ...]) -> pa.Table:
    """Return the rows in the schema's order and types, or say what is wrong with them."""
    if set(rows.column_names) != set(schema.names):
        missing, extra = sorted(set(schema.names) - set(rows.column_names)), sorted(set(rows.column_names) - set(schema.names))
        raise ValueError(f"rows do not have the table's columns: missing {missing}, unknown {extra}")
    rows = rows.select(schema.names).cast(schema)
    if any(rows[name].null_count for name in key):
        raise ValueError(f"a row has no value in its key {list(key)}: give every row a key")
    if rows.group_by(list(key)).aggregate([]).num_rows != rows.num_rows:
        raise ValueError(f"two rows have the same key {list(key)}: keep one of them")
    return rows
