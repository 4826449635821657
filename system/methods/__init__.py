"""Methods that the loop can train: one file for each, and one line in METHODS."""

from system.methods.btv import BTV
from system.methods.method import Batch, Method

METHODS: dict[str, Method] = {"btv": BTV()}

__all__ = ["METHODS", "Batch", "Method"]
