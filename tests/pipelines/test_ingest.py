"""Ingest through Ray: phantom files in, tables and pixels out; bad files cost one row each."""

import shutil
from pathlib import Path

import pydicom
import pytest

from pipelines.ingest import IngestSummary, run, warnings
from pipelines.tools.quarantine import retried, retry_of
from system.archive import Archive, IngestConfig, SplitConfig, check_no_leak, pair_table
from system.errors import UserError
from system.imaging import ImagingConfig
from system.phantom import PhantomConfig, write_phantom

pytestmark = pytest.mark.ray

CONFIG = IngestConfig(
    imaging=ImagingConfig(height_px=96, width_px=64),
    split=SplitConfig(strong=0.25, weak=0.25, validation=0.25, test=0.25, draw="by_count"),
    fixed_key="test",
    files_per_task=16,
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    write_phantom(folder, num_exams=8, seed=3, config=PhantomConfig(height_px=160, width_px=128))
    return folder


@pytest.fixture(scope="module")
def ingested(ray_cluster: Path, source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, IngestSummary]:
    """The archive's URI and the summary of the first ingest, with three broken files among the good ones."""
    bad = source / "dicom" / "bad"
    bad.mkdir()
    (bad / "DOE^JANE.pdf.dcm").write_bytes(b"%PDF-1.4 " + bytes(500))
    (bad / "empty.dcm").write_bytes(b"")
    good = sorted((source / "dicom").glob("0*/*.dcm"))[0]
    (bad / "cut.dcm").write_bytes(good.read_bytes()[:-100])
    uri = str(tmp_path_factory.mktemp("archive"))
    return uri, run(source, uri, layout="phantom", config=CONFIG)


def test_every_file_is_stored_or_quarantined_with_a_code(ingested: tuple[str, IngestSummary]) -> None:
    _, summary = ingested

    assert (summary.num_files, summary.num_read, summary.num_stored, summary.num_already_there) == (35, 35, 32, 0)
    assert summary.num_reports == 8
    assert summary.quarantined["not_dicom"] == 2
    assert sum(summary.quarantined.values()) == 3


def test_the_archive_holds_images_truth_reports_and_pixels_that_fit_together(
    ingested: tuple[str, IngestSummary],
) -> None:
    archive = Archive.open(ingested[0])
    images, masks = archive.table("images"), archive.table("masks")

    check_no_leak(images)
    assert pair_table(images).num_rows == 16
    assert set(masks["image_id"].to_pylist()) == set(images["image_id"].to_pylist())
    assert set(archive.table("reports")["study_id"].to_pylist()) == set(images["study_id"].to_pylist())
    assert all(
        archive.pixels(sha).shape == (96, 64)
        for sha in [*images["pixel_sha"].to_pylist(), *masks["mask_sha"].to_pylist()]
    )


def test_ingesting_twice_changes_nothing(ingested: tuple[str, IngestSummary], source: Path) -> None:
    uri, first = ingested

    second = run(source, uri, layout="phantom", config=CONFIG)

    assert second.archive_versions == first.archive_versions
    assert (second.num_read, second.num_stored, second.num_already_there) == (0, 0, 32)
    assert second.quarantined == first.quarantined


def test_only_a_settled_changed_forced_or_retried_file_is_read_again(
    ingested: tuple[str, IngestSummary], source: Path
) -> None:
    uri, _ = ingested
    cut = source / "dicom" / "bad" / "cut.dcm"
    cut.write_bytes(cut.read_bytes()[:-100])

    being_written = run(source, uri, layout="phantom", config=CONFIG.changed(settle_s=600))
    changed = run(source, uri, layout="phantom", config=CONFIG)
    retried = run(source, uri, layout="phantom", config=CONFIG, again=frozenset({"not_dicom"}))
    forced = run(source, uri, layout="phantom", config=CONFIG.changed(force=True))

    assert being_written.num_read == 0  # all files are younger than ten minutes
    assert (changed.num_read, retried.num_read, forced.num_read) == (1, 2, 35)
    assert changed.quarantined == retried.quarantined == forced.quarantined


def test_no_name_of_a_file_or_a_patient_is_in_a_table(ingested: tuple[str, IngestSummary]) -> None:
    archive = Archive.open(ingested[0])

    text = "".join(str(archive.table(name).to_pydict()) for name in ("images", "masks", "files", "quarantine"))

    assert "JANE" not in text
    assert "PH3-" not in text


def test_an_unknown_layout_is_refused_with_the_known_ones(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no layout 'nifti': choose one of \['"):
        run(source, str(tmp_path), layout="nifti", config=CONFIG)


def test_two_folders_that_contradict_each_other_heal_by_a_retry_when_one_file_was_removed(
    ray_cluster: Path, tmp_path: Path
) -> None:
    """The same exam twice, one of its files drawn with another picture under its UID."""
    good, bad, uri = tmp_path / "good", tmp_path / "bad", str(tmp_path / "archive")
    write_phantom(good, num_exams=1, seed=3, config=PhantomConfig(height_px=160, width_px=128))
    shutil.copytree(good, bad)
    file = sorted((bad / "dicom").rglob("*.dcm"))[0]
    changed = pydicom.dcmread(file)
    changed.decompress(generate_instance_uid=False)
    pixels = changed.pixel_array.copy()
    pixels[40:60, 40:60] += 50
    changed.PixelData = pixels.tobytes()
    changed.save_as(file)

    assert run(good, uri, layout="phantom", config=CONFIG).num_stored == 4
    second = run(bad, uri, layout="phantom", config=CONFIG)
    assert (second.num_withdrawn, second.quarantined) == (1, {"uid_conflict": 1})
    assert any("1 images were withdrawn" in warning for warning in warnings(second))
    for source in (good, bad):
        again = run(source, uri, layout="phantom", config=CONFIG)
        assert (again.num_stored, again.num_withdrawn, again.quarantined) == (0, 0, {"uid_conflict": 1})
    file.unlink()
    retry = retry_of(uri, bad, layout="phantom", codes=["uid_conflict"])
    run(bad, uri, layout="phantom", config=CONFIG, again=frozenset({"uid_conflict"}))
    assert retried(uri, retry) == "1 files tried, 0 healed; 1 of other folders healed with them; 1 still not_found"
    assert Archive.open(uri).table("images").num_rows == 4
    assert Archive.open(uri).table("masks").num_rows == 4
