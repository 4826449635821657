"""`mammoloop froc` as a user calls it."""

import csv
import json
from pathlib import Path

from tests.pipelines.cli.calling import Called, Mammoloop

FILES = {
    "images": "image_id,patient_id\na,p\nb,p\nc,q\n",
    "lesions": "image_id,x0,y0,x1,y1\na,0,0,10,10\nc,5,5,25,25\n",
    "candidates": "image_id,score,x0,y0,x1,y1\na,0.9,1,0,11,10\na,0.8,0,0,9,10\nb,0.7,0,0,4,4\n",
}


def froc(mammoloop: Mammoloop, folder: Path, *more: str, **texts: str) -> Called:
    for name, text in (FILES | texts).items():
        (folder / f"{name}.csv").write_text(text)
    files = [word for name in FILES for word in (f"--{name}", f"{folder / name}.csv")]
    return mammoloop("froc", *files, *more)


def test_it_prints_and_writes_what_it_found(mammoloop: Mammoloop, tmp_path: Path) -> None:
    json_file, table = tmp_path / "out.json", tmp_path / "out.csv"
    done = froc(mammoloop, tmp_path, "--json", str(json_file), "--table", str(table), "--bootstrap", "20")
    assert done.code == 0, done.err
    assert "0.5000*" in done.out
    assert "the curve ends at 0.3333 false positives per image" in done.out
    found = json.loads(json_file.read_text())
    assert found["sensitivity"] == {"0.1": 0.5, "0.2": 0.5, "0.5": 0.5, "1": 0.5}
    assert (found["ends_before"], found["counts"]["num_duplicate"]) == (["0.5", "1"], 1)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(row["outcome"], row["lesion"]) for row in rows] == [("TP", "0"), ("duplicate", "0"), ("FP", "-1")]
    assert abs(float(rows[0]["overlap"]) - 90 / 110) < 1e-12


def test_rules_are_taken_as_given(mammoloop: Mammoloop, tmp_path: Path) -> None:
    rules = ("--duplicates", "fp", "--match", "iom", "--iou", "0.95")
    done = froc(mammoloop, tmp_path, *rules, "--json", str(tmp_path / "out.json"))
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["settings"]["limit"] == 0.95
    assert (found["counts"]["num_tp"], found["counts"]["num_fp"]) == (1, 2)


def test_bad_lines_end_with_2_and_their_numbers(mammoloop: Mammoloop, tmp_path: Path) -> None:
    done = froc(mammoloop, tmp_path, candidates=FILES["candidates"].replace("0.8", "1.8"))
    assert (done.code, done.err) == (2, "mammoloop: candidates.csv line 3: score 1.8 is outside 0 to 1\n")


def test_operating_points_that_are_no_numbers_are_refused(mammoloop: Mammoloop, tmp_path: Path) -> None:
    done = froc(mammoloop, tmp_path, "--fppi", "0.1;0.2")
    assert done.code == 2
    assert "--fppi '0.1;0.2': expected numbers of at least 0" in done.err


def test_a_limit_that_would_mean_nothing_is_refused(mammoloop: Mammoloop, tmp_path: Path) -> None:
    done = froc(mammoloop, tmp_path, "--match", "centre", "--iou", "0.2")
    assert done.code == 2
    assert "--match centre asks for none" in done.err
