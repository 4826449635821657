"""The table of the methods."""

from system.methods.btv import BTV
from system.methods.method import Method

METHODS: dict[str, Method] = {"btv": BTV()}
