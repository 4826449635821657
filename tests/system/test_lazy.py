"""Packages give their names when they are asked for them."""

from importlib import import_module

import pytest

from system.methods import METHOD_NAMES, METHODS

PACKAGES = ("archive", "imaging", "losses", "methods", "metrics", "mining", "nets", "phantom", "refine")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_that_a_package_declares_is_there(package: str) -> None:
    module = import_module(f"system.{package}")
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("package", PACKAGES)
def test_another_name_is_none_of_its(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'system.{package}' has no attribute 'no_such_name'"):
        import_module(f"system.{package}").no_such_name  # noqa: B018 - the look-up is what is tested


def test_the_names_of_the_methods_are_those_of_the_table() -> None:
    assert list(METHODS) == list(METHOD_NAMES)
