"""The fences around four generic package names: whose they are, and what importing the command line costs."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from system.run.code import PACKAGES

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def owners() -> Mapping[str, list[str]]:
    """Which distributions claim which top-level name."""
    try:
        importlib.metadata.version("mammoloop")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("mammoloop is not installed in this environment (make installs it)")
    return importlib.metadata.packages_distributions()


@pytest.mark.parametrize("name", PACKAGES)
def test_package_name_belongs_to_our_distribution_alone(owners: Mapping[str, list[str]], name: str) -> None:
    assert set(owners.get(name, [])) == {"mammoloop"}


def test_installed_distribution_brings_no_other_package(owners: Mapping[str, list[str]]) -> None:
    assert {name for name, found in owners.items() if "mammoloop" in found} == set(PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_package_is_imported_from_this_checkout(name: str) -> None:
    module = __import__(name)
    assert Path(module.__path__[0]).resolve() == ROOT / name


def test_no_file_of_ours_is_named_like_a_standard_module() -> None:
    ours = {
        path.stem if path.is_file() else path.name for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()
    }
    assert not ours & sys.stdlib_module_names


def test_no_homeless_modules() -> None:
    homeless = {"utils", "util", "common", "helpers", "core", "misc"}
    found = [path.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*") if path.stem in homeless]
    assert found == []


def test_test_files_have_unique_names() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def tree_of_readme() -> Iterator[str]:
    """Give the folders named in the README's tree, as paths."""
    tree = (ROOT / "README.md").read_text(encoding="utf8").split("## The tree")[1].split("```")[1]
    folders: list[str] = []
    for line in tree.strip().splitlines():
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        folders[depth:] = [name]
        yield "".join(folders).rstrip("/")


def test_readme_names_every_package_and_no_other() -> None:
    packages = {file.parent.relative_to(ROOT) for name in PACKAGES for file in (ROOT / name).rglob("__init__.py")}
    named = {str(folder) for folder in packages if len(folder.parts) <= 2}  # system/archive/layouts: in archive's line
    assert set(tree_of_readme()) == named | {"benchmarks", "k8s", "tests", "docs"}


def test_every_module_that_the_documentation_names_exists() -> None:
    new = "adding-a-layout.md"  # its modules are still to be written
    pages = [page for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")) if page.name != new]
    beginning = "|".join((*PACKAGES, "benchmarks", "tests"))
    named = {
        path for page in pages for path in re.findall(rf"`((?:{beginning})/[\w/*.-]+\.py)`", page.read_text("utf8"))
    }
    assert len(named) > 10
    assert [path for path in sorted(named) if "NAME" not in path and not [*ROOT.glob(path)]] == []


def test_version_in_changelog_is_the_packages() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf8")


def test_command_line_imports_no_heavy_library() -> None:
    heavy = {"torch", "ray", "transformers", "timm", "matplotlib"}
    code = f"import pipelines.cli.main, sys; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
