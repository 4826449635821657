"""Counts per patient as a file, where no tables of candidates are kept beside them."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from scipy import sparse

from system.errors import UserError
from system.files.parquet import REMEDY
from system.metrics import PatientCounts

COUNTS = "counts.npz"
_PARTS = ("data", "indices", "indptr", "shape")  # of a matrix in compressed rows


def write_counts(counts: PatientCounts, path: Path) -> None:
    """Write counts into a file of numpy arrays."""
    arrays = {"patients": np.array(counts.patients, dtype=str), "images": counts.images, "lesions": counts.lesions}
    for name in ("found", "false"):
        matrix = getattr(counts, name)
        arrays |= {f"{name}_{part}": np.asarray(getattr(matrix, part)) for part in _PARTS}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_counts(path: Path) -> PatientCounts:
    """Return what `write_counts` wrote; nothing is unpickled. Raises UserError for another file."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            matrices = {
                name: sparse.csr_array(
                    tuple(arrays[f"{name}_{part}"] for part in _PARTS[:3]), shape=tuple(arrays[f"{name}_shape"])
                )
                for name in ("found", "false")
            }
            return PatientCounts(tuple(arrays["patients"].tolist()), arrays["images"], arrays["lesions"], **matrices)
    except (ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UserError(f"{path.name} is not what was written ({type(error).__name__}): {REMEDY}") from error
