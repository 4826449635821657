"""One file to a row, and a source's rows settled together, without Ray."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from system.archive import Archive, SplitConfig
from system.archive.intake import source_of, stamp_of, take
from system.archive.layouts import SourceItem
from system.archive.settle import write_settled
from system.imaging import DicomConfig, ImageRefused, ImagingConfig, SourceImage
from system.records import Side, ViewPosition

SHARES = SplitConfig(strong=0.5, weak=0.0, validation=0.0, test=0.5, draw="by_count")
DICOM = DicomConfig()


@dataclass
class Drawn:
    """A layout of drawn breasts; `images` says who is on which, `masks` where a mass is."""

    images: dict[str, SourceImage | Exception]
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    name: str = "drawn"
    report_source: str = "none"

    def items(self, source):
        return [SourceItem(name) for name in self.images]

    def files(self, source, item):
        return [source / item.name]

    def read(self, source, item, *, config=DICOM):
        if isinstance(found := self.images[item.name], Exception):
            raise found
        return found

    def mask(self, source, item, image):
        return self.masks.get(item.name, np.zeros(image.pixels.shape, bool))

    def reports(self, source, *, sides):
        return []


def breast(image="i", *, patient="P1", study="s", seed=0):
    y, x = np.mgrid[:100, :80]
    tissue = (x / 60) ** 2 + ((y - 50) / 45) ** 2 < 1
    noise = np.random.default_rng(seed).normal(0, 5, (100, 80))
    pixels = (np.where(tissue, 500 - 3 * x, 10) + noise).astype(np.float32)
    return SourceImage(pixels, Side.LEFT, ViewPosition.CC, 0.2, patient, study, image)


def square():
    mask = np.zeros((100, 80), bool)
    mask[40:50, 20:30] = True
    return mask


@pytest.fixture
def archive(tmp_path):
    return Archive.create(tmp_path / "archive", imaging=ImagingConfig(height_px=50, width_px=40), site_key=bytes(32))


def taken(archive, layout, *items):
    return [take(archive, layout, source=Path("/dump"), item=item, dicom=DICOM) for item in items]


def ingest(archive, layout, *items, overwrite=False):
    return write_settled(archive, taken(archive, layout, *items), config=SHARES, overwrite=overwrite)


def test_a_row_names_stored_pixels_and_hashed_ids(archive):
    (intake,) = taken(archive, Drawn({"a": breast()}), SourceItem("a"))

    assert archive.pixels(intake.pixel_sha).shape == (50, 40)
    assert intake.patient_id == archive.identifier("patient", "P1")
    assert intake.spacing_mm == pytest.approx(0.4)  # half the resolution
    assert intake.mask_sha == ""


def test_truth_is_stored_with_its_lesions_counted(archive):
    mask = square()
    mask[70:74, 10:14] = True

    (intake,) = taken(archive, Drawn({"a": breast()}, {"a": mask}), SourceItem("a", has_truth=True, num_masses=2))

    assert (intake.num_lesions, intake.area_px) == (2, 25 + 4)
    assert (archive.pixels(intake.mask_sha) > 0).sum() == 29


def test_a_known_absence_of_masses_is_an_empty_mask(archive):
    settled = ingest(archive, Drawn({"a": breast()}), SourceItem("a", has_truth=True))

    (row,) = settled.masks.to_pylist()
    assert row["num_lesions"] == 0
    assert not archive.pixels(row["mask_sha"]).any()


@pytest.mark.parametrize(
    ("error", "code"), [(ImageRefused("multiframe", "4 frames"), "multiframe"), (ValueError("name: JANE DOE"), "unreadable")]
)
def test_whatever_is_wrong_with_a_file_is_one_row_without_its_name(archive, error, code):
    settled = ingest(archive, Drawn({"DOE^JANE.dcm": error, "b": breast()}), SourceItem("DOE^JANE.dcm"), SourceItem("b"))

    (row,) = settled.quarantine.to_pylist()
    assert row["code"] == code
    assert row["source"] == archive.identifier("file", "/dump/DOE^JANE.dcm")
    assert "JANE" not in str(row)
    assert settled.images.num_rows == 1


def test_a_mask_of_another_size_keeps_its_image_out(archive):
    settled = ingest(archive, Drawn({"a": breast()}, {"a": np.ones((9, 9), bool)}), SourceItem("a", has_truth=True, num_masses=1))

    assert settled.quarantine["code"].to_pylist() == ["mask_size"]


def test_ingesting_again_changes_nothing(archive):
    layout = Drawn({"a": breast(), "b": ImageRefused("view", "XCCL")}, {"a": square()})
    items = SourceItem("a", has_truth=True, num_masses=1), SourceItem("b")
    ingest(archive, layout, *items)
    before = archive.versions()

    again = ingest(archive, layout, *items)

    assert archive.versions() == before
    assert (again.images.num_rows, again.num_already_there) == (0, 1)


def test_one_uid_with_two_pictures_keeps_the_first(archive):
    layout = Drawn({"a": breast(seed=1), "b": breast(seed=2)})

    settled = ingest(archive, layout, SourceItem("a"), SourceItem("b"))

    assert settled.images["pixel_sha"].to_pylist() == [taken(archive, layout, SourceItem("a"))[0].pixel_sha]
    assert settled.quarantine["code"].to_pylist() == ["uid_conflict"]


def test_one_picture_under_two_uids_is_kept_once(archive):
    settled = ingest(archive, Drawn({"a": breast("i1"), "b": breast("i2", patient="P2")}), SourceItem("a"), SourceItem("b"))

    assert settled.images.num_rows == 1
    assert settled.quarantine["code"].to_pylist() == ["uid_conflict"]


def test_a_changed_picture_of_a_known_uid_is_kept_out_unless_overwriting(archive):
    ingest(archive, Drawn({"a": breast(seed=1)}), SourceItem("a"))

    kept_out = ingest(archive, Drawn({"a": breast(seed=2)}), SourceItem("a"))
    replaced = ingest(archive, Drawn({"a": breast(seed=2)}), SourceItem("a"), overwrite=True)

    assert (kept_out.images.num_rows, replaced.images.num_rows) == (0, 1)
    assert archive.table("images")["pixel_sha"].to_pylist() == replaced.images["pixel_sha"].to_pylist()


def test_a_patient_of_the_archive_keeps_her_split(archive):
    ingest(archive, Drawn({"a": breast("i1")}), SourceItem("a", has_truth=True, split="validation"))

    later = ingest(archive, Drawn({"b": breast("i2", seed=2)}), SourceItem("b", has_truth=True))

    assert later.images["split"].to_pylist() == ["validation"]


def test_an_image_without_truth_of_a_held_out_patient_is_kept_out(archive):
    ingest(archive, Drawn({"a": breast("i1")}), SourceItem("a", has_truth=True, split="test"))

    later = ingest(archive, Drawn({"b": breast("i2", seed=2)}), SourceItem("b"))

    assert later.quarantine["code"].to_pylist() == ["no_truth"]
    assert later.images.num_rows == 0


def test_a_patient_given_two_splits_is_refused(archive):
    items = SourceItem("a", has_truth=True, split="test"), SourceItem("b", has_truth=True, split="strong")

    with pytest.raises(ValueError, match=r"given the splits \['strong', 'test'\]"):
        ingest(archive, Drawn({"a": breast("i1"), "b": breast("i2", seed=2)}), *items)


@pytest.mark.parametrize("patient", ["", "0", "00000", "anon"])
def test_a_name_that_stands_for_nobody_is_weak_and_joins_no_two_studies(archive, patient):
    layout = Drawn({"a": breast("i1", patient=patient, study="s1"), "b": breast("i2", patient=patient, study="s2", seed=2)})

    settled = ingest(archive, layout, SourceItem("a", has_truth=True), SourceItem("b", has_truth=True))

    assert settled.images["split"].to_pylist() == ["weak", "weak"]
    assert len(set(settled.images["patient_id"].to_pylist())) == 2


def test_memory_that_runs_out_is_said(archive):
    settled = ingest(archive, Drawn({"a": MemoryError()}), SourceItem("a"))

    assert settled.quarantine["code"].to_pylist() == ["memory"]


def test_a_file_that_can_be_read_at_last_leaves_the_quarantine(archive):
    ingest(archive, Drawn({"a": ImageRefused("truncated", ""), "b": ImageRefused("view", "")}), SourceItem("a"), SourceItem("b"))

    ingest(archive, Drawn({"a": breast()}), SourceItem("a"))

    assert archive.table("quarantine")["code"].to_pylist() == ["view"]
    assert archive.table("images").num_rows == 1


def test_settling_is_decided_again_when_another_job_has_written_meanwhile(archive, monkeypatch):
    """The other job stores the same picture under another id just before ours would."""
    ours, theirs = Drawn({"a": breast("i1")}), Drawn({"b": breast("i2", patient="P2")})
    write, interrupted = Archive.upsert, []

    def upsert(self, name, rows, *, based_on=None):
        if name == "images" and not interrupted:
            interrupted.append(True)
            ingest(archive, theirs, SourceItem("b"))
        return write(self, name, rows, based_on=based_on)

    monkeypatch.setattr(Archive, "upsert", upsert)
    settled = ingest(archive, ours, SourceItem("a"))

    assert settled.quarantine["code"].to_pylist() == ["uid_conflict"]
    assert archive.table("images")["image_id"].to_pylist() == [archive.identifier("image", "i2")]


@pytest.mark.parametrize("change", ["pixels", "truth", "setting"])
def test_a_stamp_changes_with_all_that_decides_what_a_file_becomes(archive, tmp_path, change):
    layout, item, settings = Drawn({}), SourceItem("a"), DICOM
    (tmp_path / "a").write_bytes(b"1234")
    before = stamp_of(archive, layout, source=tmp_path, item=item, dicom=settings)
    assert stamp_of(archive, layout, source=tmp_path, item=item, dicom=settings) == before

    if change == "pixels":
        (tmp_path / "a").write_bytes(b"12345")
    elif change == "truth":
        item = SourceItem("a", has_truth=True)
    else:
        settings = DicomConfig(allow_for_processing=True)

    assert stamp_of(archive, layout, source=tmp_path, item=item, dicom=settings) != before


def test_files_of_one_name_in_two_folders_are_two_sources(archive, tmp_path):
    assert source_of(archive, tmp_path / "x", SourceItem("a")) != source_of(archive, tmp_path / "y", SourceItem("a"))
