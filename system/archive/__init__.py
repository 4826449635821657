"""What the hospital gives: Delta tables, the pixel store, splits and data-set layouts. May import imaging, phantom, records.

tables.py    the tables' schemas and keys
delta.py     one Delta table: read, upsert with retries
pixels.py    the content-addressed pixel store
bucket.py    objects of a bucket, put on a condition
store.py     Archive: tables, pixels and ids under one URI
pairs.py     the bilateral pairs of a table of images
splits.py    which patient is for what
config.py    how a source folder becomes an archive
intake.py    one source file to one row of `files`
fence.py     reading behind a process border, with limits of memory and time
settle.py    what the files of a source add to the archive
scrub.py     who a report is about goes out of it
reports_in.py  reports to rows, hashed and scrubbed
layouts/     how a source folder is laid out: DICOM folders, mini-MIAS
"""

from system.archive.config import IngestConfig
from system.archive.pairs import pair_table
from system.archive.splits import SplitConfig, assign_splits, check_no_leak, share_of_patients
from system.archive.store import Archive

__all__ = ["Archive", "IngestConfig", "SplitConfig", "assign_splits", "check_no_leak", "pair_table", "share_of_patients"]
