"""`mammoloop check`: what a file holds, and all its faults at once."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.tools import check, reports
from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.errors import UserError
from system.imaging import ImagingConfig

REPORTS = "study,version,status,language,description,impression\n"
TRUTH = "file,mask,side,view,num_masses,split\n"
SHEET = "image_id,picture,study_id,side,view,why,p_mass,score,verdict,x0,y0,x1,y1\n"


def file(tmp_path: Path, text: str, *, name: str = "table.csv", codec: str = "utf8") -> Path:
    (tmp_path / name).write_bytes(text.encode(codec))
    return tmp_path / name


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """An archive of one image, i of study 1.2."""
    archive = Archive.create(tmp_path / "archive", imaging=ImagingConfig(height_px=64, width_px=32))
    row = dict.fromkeys(SCHEMAS["images"].names) | {"image_id": "i", "rows": 64, "cols": 32, "pixel_sha": "s"}
    row["study_id"] = archive.identifier("study", "1.2")
    archive.upsert("images", pa.Table.from_pylist([row], schema=SCHEMAS["images"]))
    return archive


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (REPORTS, "reports"),
        ("Impression;Description;Study;Version;Status\n", "reports"),
        (TRUTH, "truth"),
        ("file,mask,patient,study,side,view,num_masses,split\n", "truth"),
        ("file,study,side,view\n", "views"),
        (SHEET, "verdicts"),
        ("sep=;\nimage id;picture;why;verdict;x0;y0;x1;y1\n", "verdicts"),
    ],
)
def test_the_kind_of_a_table_is_known_by_its_columns(tmp_path: Path, text: str, kind: str) -> None:
    assert check.kind_of(file(tmp_path, text)) == kind


def test_a_table_of_no_kind_is_refused_with_the_columns_of_all_and_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no table that is known here .* views: file, study, side, view") as caught:
        check.run(file(tmp_path, "DOE^JANE,1.2\n"))
    assert "DOE" not in str(caught.value)


def test_reports_are_counted_and_all_their_faults_named(tmp_path: Path) -> None:
    rows = "1.2,1,Final,zh,左乳肿块,\n1.2,1,final,zh,双乳未见肿块,\n1.3,x,draft,klingon,,\n"
    rows += "1.4,1,final,en,,\n1E9,1,final,en,,\n"
    found = check.run(file(tmp_path, (REPORTS + rows).replace(",", ";"), codec="gbk"))
    assert found.kind == "reports"
    counts = {"rows without a fault": 2, "studies": 2, "status final": 2, "language en": 1, "language zh": 1}
    assert found.counts == counts | {"without a text": 1}
    assert found.recognised[:2] == ["as GB18030", "with semicolons between its fields"]
    assert [fault.removeprefix("table.csv line ")[:12] for fault in found.faults] == [
        "3: another r", "4, version: ", "4, status: e", "4, language:", "6, study: a ",
    ]  # fmt: skip
    assert not any("肿块" in text for text in [*found.faults, *found.odd, *found.recognised])


def test_an_archive_knows_which_studies_have_no_image_and_which_reports_it_has(
    tmp_path: Path, archive: Archive
) -> None:
    path = file(tmp_path, REPORTS + "1.2,1,final,en,mass,\n1.3,1,final,en,none,\n")
    assert "studies without an image" not in check.run(path).counts
    found = check.run(path, archive_uri=archive.uri)
    assert (found.counts["studies without an image"], found.counts["versions that the archive has"]) == (1, 0)
    assert found.odd == ["1 of 2 studies have no image in this archive"]
    reports.run(path, archive.uri)
    assert check.run(path, archive_uri=archive.uri).counts["versions that the archive has"] == 2


def test_files_that_truth_and_views_list_are_looked_for_beside_them(tmp_path: Path) -> None:
    for name in ("dicom/a.dcm", "masks/m.png", "v.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = check.run(file(tmp_path, TRUTH + "a.dcm,m.png,L,CC,2,\nb.dcm,n.png,left,LM,1,test\nc.dcm,,R,CC,0,test\n"))
    assert found.counts == {
        "rows without a fault": 3, "with a mask": 2, "free of masses": 1, "masses": 3, "masses not outlined": 0,
        "split left to the archive": 1, "split test": 2,
    }  # fmt: skip
    assert found.odd == [
        "the view is not one of CC, MLO: the image will be quarantined (line 3)",
        "2 of 3 listed images are not in the folder dicom: each will be quarantined",
        "1 of 2 listed masks are not in the folder masks: each will be quarantined",
    ]
    views = check.run(file(tmp_path, "file,study,side,view\nv.png,s,Left,cc\nw.png,s,R,MLO\n"))
    assert views.counts == {"rows without a fault": 2, "studies": 1, "view L CC": 1, "view R MLO": 1}
    assert len(views.odd) == 1


def test_verdicts_are_compared_with_the_archives_images(tmp_path: Path, archive: Archive) -> None:
    path = file(
        tmp_path, SHEET + "i,p,,,,random,,,Mass,1,2,33,40\nj,q,,,,random,,,no mass,,,,\ni2,r,,,,random,,,,,,,\n"
    )
    assert check.run(path).faults == []
    found = check.run(path, archive_uri=archive.uri)
    assert (found.counts["judged"], found.counts["verdict mass"], found.counts["with a box"]) == (2, 1, 1)
    assert [fault[:46] for fault in found.faults] == [
        "table.csv judges 1 images that this archive do", "table.csv line 2: the box ends at 33, 40, but ",
    ]  # fmt: skip


def test_an_empty_sheet_is_odd_and_a_wrong_one_refused_as_at_the_import(tmp_path: Path) -> None:
    assert check.run(file(tmp_path, SHEET + "i,p,,,,random,,,,,,,\n")).odd == ["no verdict is filled in"]
    found = check.run(file(tmp_path, SHEET + "i,p,,,,random,,,,1,2,3,4\nj,q,,,,random,,,cancer,,,,\n"))
    assert [fault[:30] for fault in found.faults] == [
        "table.csv line 2: a box is dra",
        "table.csv line 3, verdict: exp",
    ]


def test_coco_is_counted_and_each_outline_that_is_none_named(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "p.png", "height": 64, "width": 32}, {"id": 2, "file_name": "q.png"}]
    categories = [{"id": 1, "name": "mass"}, {"id": 2, "name": "candidate"}]
    kept = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
    annotations = [
        {"id": 1} | kept,
        {"id": 2} | kept | {"bbox": [900, 2, 3, 4]},
        {"id": 3} | kept | {"image_id": 9},
        {"id": 4} | kept | {"category_id": 2},
        {"id": 5} | kept | {"image_id": 2},
    ]
    text = json.dumps({"images": images, "annotations": annotations, "categories": categories})
    for codec in ("utf8", "utf-16", "utf-8-sig"):
        found = check.run(file(tmp_path, text, name="edited.json", codec=codec))
        assert found.counts == {"pictures": 2, "annotations": 4, "category candidate": 1, "category mass": 3}
        assert [fault[:34] for fault in found.faults] == [
            "edited.json: annotation 3: its ima", "edited.json: annotation 2: it lies",
        ]  # fmt: skip
        assert found.odd == ["the outline was not looked at: its picture has no height and width (annotation 5)"]
    assert check.run(file(tmp_path, "{", name="e.json")).faults[0].startswith("e.json is no COCO file")


def test_faults_beyond_the_first_fifty_are_counted(tmp_path: Path) -> None:
    found = check.run(file(tmp_path, REPORTS + 60 * ",1,final,en,a,\n"))
    assert (len(found.faults), found.faults[-1]) == (51, "and 10 more lines")
