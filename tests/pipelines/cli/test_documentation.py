"""Every command of the documentation is there, and those of docs/use.md do what the page needs next."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from pipelines.cli.main import app
from system.archive.layouts.layout import SourceItem
from system.evaluation.read_back import read_back
from system.imaging import encode_png
from system.run.folder import RunFolder
from tests.pipelines.cli.calling import Mammoloop
from tune_spaces import SPACES, Choice, Space

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# Programs that these pages call and that no test can: a container engine, a cluster, a shell's own words.
NOT_OURS = ("source", "docker", "kubectl", "kustomize", "(cd", "pip", "optuna-dashboard")
MAKE_TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf8"), re.MULTILINE))


def commands(page: Path) -> Iterator[list[str]]:
    """Give every command of a page's shell blocks as words."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf8"), re.DOTALL):
        for line in block.splitlines():
            for part in line.split("#")[0].split("&&"):
                if part.strip():
                    yield shlex.split(part)


ALL_COMMANDS = [pytest.param(words, id=f"{page.name}: {' '.join(words)}") for page in PAGES for words in commands(page)]


@pytest.mark.parametrize("words", ALL_COMMANDS)
def test_a_command_of_the_documentation_exists_with_its_options(words: list[str]) -> None:
    program, *rest = words
    match program:
        case "make":
            assert set(rest) <= MAKE_TARGETS | {".venv/ready"}
        case "mammoloop":
            parse(rest)
        case _:
            assert program.startswith((*NOT_OURS, ".venv/bin/pytest"))


def parse(words: list[str]) -> None:
    """Parse a call of the command line without doing it; raises for an unknown command, option or argument."""
    command = typer.main.get_command(app)
    context = command.make_context("mammoloop", [], resilient_parsing=True)
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]}"
        command, words = found, words[1:]
        context = command.make_context(command.name, [], parent=context, resilient_parsing=True)
    context.resilient_parsing = False  # from here on a mistake is an error
    _, rest, _ = command.make_parser(context).parse_args(args=list(words))
    assert not rest, f"{rest} are no arguments"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("trane --out run", "there is no command trane"),
        ("quarantine lst", "there is no command lst"),
        ("selftrain --archives a", "No such option"),
        ("selftrain here", "are no arguments"),
    ],
)
def test_a_call_that_does_not_exist_is_told_from_one_that_does(call: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        parse(call.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_of_the_documentation_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf8")
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    for target in targets:
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), f"{target} is not there"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf8"), re.MULTILINE)
            assert anchor in [slug(heading) for heading in headings], f"{target} names no heading"


def slug(heading: str) -> str:
    """Return the anchor that a heading gets where the pages are read."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_path_of_the_documentation_exists(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf8"), flags=re.DOTALL)
    named = re.findall(r"`((?:system|actors|pipelines|tune_spaces|tests|benchmarks|k8s|docs)/[\w./-]*)`", text)
    gone = [name for name in named if not (ROOT / name).exists() and "NAME" not in name and "test_example" not in name]
    assert [name for name in gone if name != "system/archive/layouts/example.py"] == []


def test_the_layout_of_the_documentation_reads_its_set(tmp_path: Path) -> None:
    import numpy as np

    page = (ROOT / "docs" / "adding-a-layout.md").read_text(encoding="utf8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    module: dict[str, Any] = {"__name__": "example"}
    exec(compile(block, "example.py", "exec", dont_inherit=True), module)  # noqa: S102 - the page's own code
    layout = module["ExampleSet"]()
    pixels = np.random.default_rng(0).integers(100, 60000, (40, 30)).astype(np.uint16)
    (tmp_path / "s1_L_CC.png").write_bytes(encode_png(pixels))
    (tmp_path / "masses.csv").write_text("file,x0,y0,x1,y1\ns1_L_CC.png,4,10,8,20\n")
    (item,) = layout.items(tmp_path)
    assert item == SourceItem("s1_L_CC.png", has_truth=True, num_masses=1, boxes_px=((4.0, 10.0, 8.0, 20.0),))
    image = layout.read(tmp_path, item)
    assert (image.side, image.view, image.study) == ("L", "CC", "s1")
    assert layout.mask(tmp_path, item, image).sum() == 40
    assert layout.reports(tmp_path, sides={}) == []


@pytest.mark.ray
@pytest.mark.slow
def test_the_commands_of_the_page_on_use_run_one_after_another(
    ray_cluster: Path,
    mammoloop: Mammoloop,
    tiny_settings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    # A grid of one point, and a table without trainings: the others are run by the tests of sweep and reproduce.
    point = Space({"loss.alpha": Choice((0.25,)), "loss.gamma": Choice((2.0,))}, grid=True)
    monkeypatch.setitem(SPACES["btv"], "paper_grid", point)
    instead = {"table3": "table2", "ablations": "table2", "320x256": "96x96"}
    for name, text in BOXES.items():
        Path(name).write_text(text)
    for words in commands(ROOT / "docs" / "use.md"):
        if words[0] != "mammoloop" or words[1] == "--help":
            continue
        call = [instead.get(word, image_id() if word == "IMAGE" else word) for word in words[1:]]
        if "--preset" in call and words[1] not in ("doctor", "config"):  # tiny, not the workstation's
            place = call.index("--preset")
            call[place : place + 2] = ["--preset", "demo", "--config", str(tiny_settings)]
        done = mammoloop(*call)
        assert done.code in ((0, 1) if words[1] == "doctor" else (0,)), f"{' '.join(call)}: {done.err}"
    for left in ("run/page/index.html", "review/queue.csv", "test.json", "froc.json", "found/candidates.csv"):
        assert Path(left).exists()
    assert (tmp_path / "sweep" / "best.yaml").exists()
    assert (tmp_path / "tables" / "table2.json").exists()


BOXES = {
    "images.csv": "image_id,patient_id\na,p\nb,q\n",
    "lesions.csv": "image_id,x0,y0,x1,y1\na,0,0,10,10\n",
    "candidates.csv": "image_id,score,x0,y0,x1,y1\na,0.9,1,0,11,10\nb,0.2,0,0,4,4\n",
}


def image_id() -> str:
    """Return a test image of the run that the page's commands have made; a weak one would do as well."""
    return read_back(RunFolder(Path("run")).stage1.froc()).images["image_id"][0].as_py()
