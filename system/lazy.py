"""Packages whose names are looked up when they are used, so that a small command loads no network library."""

import sys
from collections.abc import Callable
from importlib import import_module


def exported_by(package: str, *modules: str) -> Callable[[str], object]:
    """Return a package's `__getattr__` (PEP 562): a name of its `__all__` comes from its modules.

    modules: in the order in which they are tried, the lightest first; all names of `__all__` are in one of them
    """

    def find(name: str) -> object:
        here = sys.modules[package]
        if name in vars(here)["__all__"]:
            for module in modules:
                found = vars(import_module(f"{package}.{module}"))
                if name in found:
                    setattr(here, name, found[name])
                    return found[name]
        raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=here)

    return find
