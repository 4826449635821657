"""The archive of one hospital: Delta tables, pixel store, splits of patients, and the layouts of source folders.

tables.py      the tables' schemas and keys
delta.py       one Delta table: read, upsert with retries
pixels.py      the content-addressed pixel store
store.py       Archive: tables, pixels and ids under one URI
nobody.py      patient IDs that stand for nobody
one_person.py  patient IDs that several people lie under
pairs.py       the bilateral pairs of a table of images
splits.py      the split of each patient
config.py      how a source folder becomes an archive
intake.py      one source file to one row of `files`
source_picture.py  one source file to a picture of the archive's image, in the source's resolution
fence.py       reading in a child process, with limits of memory and time
rivals.py      files with one UID and different pictures, none of which is used
settle.py      the rows that the files of a source add to the archive
scrub.py       removes identifying text from reports
reports_in.py  reports to rows, hashed and scrubbed
layouts/       the kinds of source folders: DICOM folders and public data sets
"""

from typing import TYPE_CHECKING

from system.lazy import exported_by

if TYPE_CHECKING:
    from system.archive.config import IngestConfig, SplitConfig
    from system.archive.pairs import num_repeats, other_breasts, pair_table
    from system.archive.splits import assign_splits, check_no_leak, share_of_patients
    from system.archive.store import Archive, NoArchive

__all__ = [
    "Archive",
    "IngestConfig",
    "NoArchive",
    "SplitConfig",
    "assign_splits",
    "check_no_leak",
    "num_repeats",
    "other_breasts",
    "pair_table",
    "share_of_patients",
]

__getattr__ = exported_by(__name__, "config", "splits", "pairs", "store")
