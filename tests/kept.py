"""The kept run, unpacked for tests that read a whole run and need no Ray: see tests/fixtures/make_kept_run.py."""

import os
import tarfile
from pathlib import Path

KEPT = Path(__file__).resolve().parent / "fixtures" / "kept_run.tar.xz"


def unpack(folder: Path) -> Path:
    """Unpack archive/ and run/ into a folder and return it."""
    with tarfile.open(KEPT) as file:
        file.extractall(folder, filter="data")
    return folder


def set_times(run: Path, *, order: list[str], began_s: float, apart_s: float = 100.0) -> None:
    """Let a run have been started at a time and its stages have ended in an order, evenly apart."""
    os.utime(run / "config.yaml", (began_s, began_s))
    for place, name in enumerate(order, start=1):
        at_s = began_s + place * apart_s
        os.utime(run / name / "manifest.json", (at_s, at_s))
