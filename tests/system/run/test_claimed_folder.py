"""A run's folder as a driver finds it: who holds it, with which settings it goes on, and which archive it reads."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from system.archive import Archive
from system.errors import NotFinished, UserError
from system.run.folder import RunFolder
from system.run.kept_config import CONFIG
from tests.system.run.conftest import add_image
from tests.system.run.test_folder import CONFIGURED


def test_a_claimed_folder_refuses_a_second_driver_until_the_first_ends(run: RunFolder) -> None:
    def claim_again() -> None:
        with RunFolder(run.path).claimed(CONFIGURED):
            pass

    with run.claimed(CONFIGURED), pytest.raises(UserError, match="another driver works on run run_7: wait until"):
        claim_again()
    claim_again()


@pytest.mark.slow
def test_a_driver_of_another_process_is_refused_and_a_killed_one_holds_nothing(run: RunFolder) -> None:
    code = f"""
import sys, time
from pathlib import Path
from system.config import RunConfig
from system.run.folder import RunFolder
with RunFolder(Path({str(run.path)!r})).claimed(RunConfig()):
    print("claimed", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "claimed\n"
        with pytest.raises(UserError, match="another driver works on run run_7"), run.claimed(CONFIGURED):
            pass
        driver.kill()
        driver.wait()
    with run.claimed(CONFIGURED):
        pass


def test_a_claimed_folder_keeps_its_settings(run: RunFolder) -> None:
    config = CONFIGURED.changed(seed=5)
    with run.claimed(config):
        assert run.config() == config
    assert (run.path / CONFIG).read_text().startswith("# mammoloop run, schema 3\n")


def test_another_recipe_is_refused_with_the_keys_that_differ(run: RunFolder) -> None:
    with run.claimed(CONFIGURED):
        pass
    other = CONFIGURED.changed(seed=5, strong_share=0.5)
    text = r"was begun with other settings \(seed: 0, now 5; strong_share: 1.0, now 0.5\): give the same ones"
    with pytest.raises(UserError, match=text), run.claimed(other):
        pass
    assert run.config() == CONFIGURED


def test_other_resources_are_taken_and_kept(run: RunFolder) -> None:
    with run.claimed(CONFIGURED):
        pass
    resources = CONFIGURED.resources.changed(train=CONFIGURED.resources.train.changed(num_workers=8))
    with run.claimed(CONFIGURED.changed(resources=resources)):
        pass
    assert run.config().resources.train.num_workers == 8


def test_a_run_in_a_bucket_is_refused() -> None:
    with pytest.raises(UserError, match="runs are kept in a folder"), RunFolder(Path("s3://b/run")).claimed(CONFIGURED):
        pass


def test_a_folder_without_a_run_says_so_and_where_a_demo_keeps_its_own(run: RunFolder) -> None:
    with pytest.raises(NotFinished, match=r"run_7 holds no run: it has no config\.yaml; start one"):
        run.config()
    with RunFolder(run.path / "run").claimed(CONFIGURED):
        pass
    with pytest.raises(NotFinished, match=r"it has no config\.yaml; run_7/run does; start one"):
        run.config()


def test_a_run_of_another_schema_is_refused_with_the_way_out(run: RunFolder) -> None:
    run.path.mkdir()
    (run.path / CONFIG).write_text("seed: 0\ncluster: {address: auto}\n")
    with pytest.raises(
        UserError, match=r"was written by another version .*: start a new run, or go on with the version"
    ):
        run.config()
    with pytest.raises(UserError, match="was written by another version"), run.claimed(CONFIGURED):
        pass


def test_a_run_reads_the_archive_at_the_versions_of_its_first_start(
    run: RunFolder, make_archive: Callable[[str, bytes], Archive]
) -> None:
    archive = make_archive("archive", b"k" * 32)
    with pytest.raises(NotFinished, match="run run_7 is not pinned to an archive yet"):
        run.archive()
    assert run.pin(archive.uri).table("images")["image_id"].to_pylist() == ["first"]
    add_image(archive, "later")
    for pinned in (run.archive(), run.pin(archive.uri), RunFolder(run.path).archive(uri=archive.uri)):
        assert pinned.table("images")["image_id"].to_pylist() == ["first"]
    assert sorted(Archive.open(archive.uri).table("images")["image_id"].to_pylist()) == ["first", "later"]


def test_without_its_archive_a_run_names_the_option_and_the_copy_beside_it(
    run: RunFolder, make_archive: Callable[[str, bytes], Archive], tmp_path: Path
) -> None:
    first = make_archive("archive", b"k" * 32).uri
    run.pin(first)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "archive").rename(moved / "old")
    with pytest.raises(
        UserError, match=rf"run run_7 was begun on the archive at {first}, where there is none now"
    ) as no:
        run.archive()
    assert "--archive" in str(no.value)
    assert "beside" not in str(no.value)
    (moved / "old").rename(moved / "archive")
    run.path.rename(moved / "run_7")
    with pytest.raises(
        UserError, match=rf"--archive where it lies; one of the same key lies beside the run, at {moved}"
    ):
        RunFolder(moved / "run_7").archive()
    with pytest.raises(UserError, match=r"there is no archive at .*nowhere"):
        RunFolder(moved / "run_7").archive(uri=str(tmp_path / "nowhere"))


def test_a_copied_run_does_not_read_the_first_archive_without_a_word(
    run: RunFolder,
    make_archive: Callable[[str, bytes], Archive],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    first = make_archive("archive", b"k" * 32).uri
    run.pin(first)
    assert run.archive().uri == first
    assert f"run run_7 reads the archive at {first}" in caplog.messages
    for name in ("archive", run.path.name):
        shutil.copytree(run.path.parent / name, tmp_path / "copy" / name)
    caplog.clear()
    assert RunFolder(tmp_path / "copy" / run.path.name).archive().uri == first
    (warning,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert f"one of the same key lies beside the run, at {tmp_path / 'copy' / 'archive'}: name the one" in warning


def test_what_is_no_stage_has_its_place_too(run: RunFolder) -> None:
    assert [run.miner, run.page, run.tensorboard("round_01/checkpoint"), run.picture_of("abc")] == [
        run.path / "miner",
        run.path / "page" / "index.html",
        run.path / "tensorboard" / "round_01" / "checkpoint",
        run.path / "explain" / "abc.png",
    ]
