"""Methods that the loop can train; one file each, one line in METHODS. May import nets, losses, refine."""

from system.methods.btv import BTV
from system.methods.method import Batch, Method

METHODS: dict[str, Method] = {"btv": BTV()}

__all__ = ["METHODS", "Batch", "Method"]
