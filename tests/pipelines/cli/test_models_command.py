"""`mammoloop models`, `watch` before anything is done, and `predict --checkpoint promoted`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.cli.predict import named
from system.archive import Archive
from system.continuous import registry
from system.continuous.registry import Lineage, Said
from system.errors import UserError
from system.imaging import ImagingConfig
from tests.pipelines.cli.calling import Mammoloop

SAID = Said("2026-11-26T10:00:00+00:00", "plan p", "as the plan says")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """An archive with a promoted model aaaa and a held one bbbb, which waits for R. Ansari."""
    found = Archive.create(tmp_path / "archive", imaging=ImagingConfig(height_px=64, width_px=64))
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    lineage = Lineage("run", "id", "stage1", str(checkpoint), "", "r", "p", "R. Ansari", {"images": 3}, "c", 0.6)
    registry.add(found, registry.register("aaaa", lineage, said=SAID))
    registry.add(found, registry.conclude("aaaa", "promoted", said=SAID))
    registry.add(found, registry.register("bbbb", replace(lineage, parent="aaaa", system="round_01"), said=SAID))
    registry.add(found, registry.conclude("bbbb", "held", said=SAID))
    return found


def test_list_shows_every_model_and_show_its_history(mammoloop: Mammoloop, archive: Archive) -> None:
    done = mammoloop("models", "list", "--archive", archive.uri)
    assert done.code == 0
    assert [line.split()[:3] for line in done.out.splitlines()[2:]] == [
        ["aaaa", "promoted", "stage1"],
        ["bbbb", "held", "round_01"],
    ]
    shown = mammoloop("models", "show", "bb", "--archive", archive.uri).out
    assert "bbbb: held" in shown
    assert "approver: R. Ansari" in shown
    assert "2026-11-26T10:00:00+00:00  held by plan p: as the plan says" in shown
    found = json.loads(mammoloop("models", "show", "bb", "--archive", archive.uri, "--json").out)
    assert found["lineage"]["parent"] == "aaaa"


def test_approving_rolling_back_and_promoting_say_what_is_promoted(mammoloop: Mammoloop, archive: Archive) -> None:
    said = ("--archive", archive.uri, "--why", "read the page", "--by")
    assert mammoloop("models", "approve", "bb", *said, "R1").code == 2
    assert mammoloop("models", "approve", "bb", *said, "R. Ansari").out == "promoted: bbbb\n"
    assert mammoloop("models", "rollback", *said, "R1").out == "promoted: aaaa\n"
    assert mammoloop("models", "promote", "bb", *said, "R1").out == "promoted: bbbb\n"
    assert registry.read(archive).entries[-1].said.by == "R1"
    done = mammoloop("models", "show", "cc", "--archive", archive.uri)
    assert (done.code, done.err) == (2, "mammoloop: the registry has no model 'cc': it has aaaa, bbbb\n")


def test_promoted_is_looked_up_and_anything_else_is_a_folder(archive: Archive, tmp_path: Path) -> None:
    assert named(Path("promoted"), archive.uri) == tmp_path / "checkpoint"
    assert named(tmp_path, "") == tmp_path
    with pytest.raises(UserError, match="needs --archive"):
        named(Path("promoted"), "")
    (tmp_path / "checkpoint").rmdir()
    with pytest.raises(UserError, match="there is no checkpoint folder"):
        named(Path("promoted"), archive.uri)
    empty = Archive.create(tmp_path / "empty", imaging=ImagingConfig(height_px=64, width_px=64))
    with pytest.raises(UserError, match="has promoted no model yet"):
        named(Path("promoted"), empty.uri)


def test_a_plan_that_is_not_there_or_wrong_is_said_before_anything_is_done(
    mammoloop: Mammoloop, archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    words = ("watch", "--archive", archive.uri, "--run", str(tmp_path / "run"), "--plan", str(tmp_path / "plan.yaml"))
    done = mammoloop(*words)
    assert done.code == 2
    assert "`mammoloop config --plan` prints one" in done.err
    (tmp_path / "plan.yaml").write_text("gate:\n  margn: 0.1\n")
    done = mammoloop(*words)
    assert done.code == 2
    assert "gate.margn: no such setting; did you mean gate.margin?" in done.err
    (tmp_path / "plan.yaml").write_bytes(b"\xff\xfe")
    done = mammoloop(*words)
    assert (done.code, "plan.yaml is no text in UTF-8: save it so" in done.err) == (2, True)


def test_the_printed_plan_is_the_default(mammoloop: Mammoloop) -> None:
    from system.config import resolve
    from system.continuous.plan import Plan

    printed = mammoloop("config", "--plan").out
    assert resolve(Plan(), text=printed) == Plan()
