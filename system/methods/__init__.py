"""Methods that the loop can train: one file for each, one line in METHODS (table.py), and its name in METHOD_NAMES."""

from typing import TYPE_CHECKING

from system.lazy import exported_by

if TYPE_CHECKING:
    from system.methods.method import Batch, Method
    from system.methods.table import METHODS

METHOD_NAMES = ("btv",)
"""The keys of METHODS, which loads torch; a test holds them equal."""

__all__ = ["METHODS", "METHOD_NAMES", "Batch", "Method"]

__getattr__ = exported_by(__name__, "method", "table")
