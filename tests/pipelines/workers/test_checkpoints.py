"""Checkpoints that were begun and never finished are removed, those that Ray Train knows stay."""

import json
from pathlib import Path

from pipelines.workers.checkpoints import remove_partial

LIST = "checkpoint_manager_snapshot.json"


def folder_with(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"")
    return tmp_path


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("checkpoint_*") if path.is_dir())


def test_only_the_listed_ones_stay(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "checkpoint_a", "checkpoint_b", "checkpoint_c")
    listed = [{"checkpoint_dir_name": name, "metrics": {}} for name in ("checkpoint_a", "checkpoint_c")]
    (folder / LIST).write_text(json.dumps({"checkpoint_results": listed}))
    remove_partial(folder)
    assert checkpoints(folder) == ["checkpoint_a", "checkpoint_c"]


def test_without_a_list_none_is_whole(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "checkpoint_a")
    remove_partial(folder)
    assert checkpoints(folder) == []


def test_a_list_that_was_half_written_is_removed_too(tmp_path: Path) -> None:
    for content in ("", '{"checkpoint_results": [{"checkp', "[]"):
        folder = tmp_path / str(len(content))
        folder.mkdir()
        folder_with(folder, "checkpoint_a")
        (folder / LIST).write_text(content)
        remove_partial(folder)
        assert list(folder.iterdir()) == []


def test_a_training_that_never_began_has_none(tmp_path: Path) -> None:
    remove_partial(tmp_path / "none")
    assert not (tmp_path / "none").exists()
