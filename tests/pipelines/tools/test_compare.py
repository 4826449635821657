"""`mammoloop compare`: runs side by side, differences paired on the patients they share, refusals."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipelines.tools import compare
from system.errors import NotFinished, UserError
from system.metrics.bootstrap import draw_weights
from tests.damage import WAYS
from tests.kept import unpack

FROC = "{system}/froc/attempt_001/{name}.parquet"
LESIONS_EACH = 2  # of each of the three test patients, on images of their own
Make = Callable[[str], Path]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("kept")) / "run"


@pytest.fixture
def make(kept: Path, tmp_path: Path) -> Make:
    """Return a maker of copies of the kept run."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(kept, tmp_path / name))

    return copy


def table(run: Path, name: str, system: str = "stage1") -> pa.Table:
    return pq.read_table(run / FROC.format(system=system, name=name))


def patients_of(run: Path) -> list[str]:
    return sorted(set(table(run, "images")["patient_id"].to_pylist()))


def find(run: Path, patients: Sequence[str], system: str = "stage1") -> None:
    """Let a system find every lesion of some patients, surer of it than of anything else, and no other lesion."""
    images = table(run, "images", system).to_pylist()
    hit = {row["image_id"] for row in images if row["patient_id"] in patients and row["num_lesions"]}
    rows = table(run, "candidates", system).to_pylist()
    found = [
        row | ({"outcome": "TP", "lesion": 0, "score": 0.9} if row["image_id"] in hit else {"score": 0.1})
        for row in rows
    ]
    path = run / FROC.format(system=system, name="candidates")
    pq.write_table(pa.Table.from_pylist(found, schema=pq.read_schema(path)), path)


def drop(run: Path, patients: Sequence[str], system: str = "stage1") -> None:
    """Let a system have never looked at some patients."""
    images = table(run, "images", system)
    gone = images.filter(pc.field("patient_id").isin(patients))["image_id"]
    for name in ("images", "candidates", "lesions"):
        path = run / FROC.format(system=system, name=name)
        pq.write_table(pq.read_table(path).filter(~pc.field("image_id").isin(gone)), path)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_difference_and_its_interval_are_paired_by_patient(make: Make) -> None:
    first, second = make("a"), make("b")
    one, two, _ = patients_of(first)
    find(first, [one])
    find(second, [one, two])
    found = compare.run([str(first), str(second)])
    assert [run.mean for run in found.runs] == pytest.approx([1 / 3, 2 / 3])
    against = found.runs[1].against
    assert against is not None
    assert (against.num_patients, against.num_lesions, against.why_not) == (3, 3 * LESIONS_EACH, "")
    assert against.difference == pytest.approx(1 / 3)
    # Each resample's difference by hand: the share of its patients that only the second run finds.
    weights = draw_weights(3, num_resamples=20, rng=np.random.default_rng(0))
    assert against.interval == pytest.approx(tuple(np.percentile(weights[:, 1] / 3, [2.5, 97.5])))


def test_where_runs_have_other_test_patients_only_the_shared_ones_are_compared(make: Make) -> None:
    first, second = make("a"), make("b")
    one, two, three = patients_of(first)
    find(first, [one, three])
    find(second, [one, two])
    drop(second, [three])
    against = compare.run([str(first), str(second)]).runs[1].against
    assert against is not None
    assert (against.num_patients, against.num_lesions) == (2, 4)
    assert (against.first_mean, against.mean, against.difference) == pytest.approx((1 / 2, 1, 1 / 2))


def test_without_a_shared_patient_the_figures_stand_side_by_side_and_it_is_said(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = make("a"), make("b")
    one, two, three = patients_of(first)
    drop(first, [one, two])
    drop(second, [three])
    found = compare.run([str(first), str(second)])
    against = found.runs[1].against
    assert against is not None
    assert np.isnan(against.difference)
    assert against.num_patients == 0
    assert [run.num_patients for run in found.runs] == [3, 3]  # of their own evaluations
    printed = capsys.readouterr().out
    assert "b is not compared with a: they have no test image in common" in printed


def test_other_rules_and_other_lesions_are_not_compared(make: Make) -> None:
    first, second, third = make("a"), make("b"), make("c")
    edit(second / "stage1/froc/manifest.json", '"iou": 0.2', '"iou": 0.5')
    images = table(third, "images")
    more = pa.array([count + 1 for count in images["num_lesions"].to_pylist()], pa.int32())
    place = images.schema.get_field_index("num_lesions")
    pq.write_table(
        images.set_column(place, images.schema.field(place), more), third / FROC.format(system="stage1", name="images")
    )
    found = compare.run([str(first), str(second), str(third)])
    why = [run.against.why_not for run in found.runs[1:] if run.against]
    assert why[0] == "they were evaluated by other rules (froc.iou 0.2 and 0.5)"
    assert why[1] == "12 of the 12 test images that both have show other lesions in the two"


def test_what_differs_in_recipe_and_data_has_the_value_of_every_run(make: Make) -> None:
    runs = [make(name) for name in "abc"]
    edit(runs[1] / "config.yaml", "batch_size: 4", "batch_size: 6")
    edit(runs[2] / "config.yaml", "num_workers: 1", "num_workers: 2")  # resources are no recipe
    edit(runs[2] / "archive/manifest.json", '"images": 1', '"images": 2')
    found = compare.run([str(run) for run in runs])
    assert len(found.recipe) == 1
    assert found.recipe[0].key.endswith(".batch_size")
    assert found.recipe[0].values == ("4", "6", "4")
    (data,) = found.data
    assert data.key == "archive.images"
    assert [value.split(" of ")[0] for value in data.values] == ["version 1", "version 1", "version 2"]


def test_equal_runs_are_said_to_be_equal(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    compare.run([str(make("a")), str(make("b"))])
    printed = capsys.readouterr().out
    assert "The recipes are the same." in printed
    assert "The data are the same." in printed


def test_a_system_of_a_run_is_named_behind_a_colon(make: Make) -> None:
    run = make("a")
    find(run, patients_of(run), "round_01")
    found = compare.run([str(run), f"{run}:round_01"])
    assert [(each.name, each.system) for each in found.runs] == [("a", "supervised"), ("a:round_01", "round 1")]
    assert found.runs[1].mean == 1


def test_pools_and_cost_are_those_of_the_stages(make: Make) -> None:
    run = make("a")
    for name, seconds in (("labels", 7.0), ("stage1/checkpoint", 20.0), ("round_01/predictions", 5.0)):
        path = run / name / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": seconds}))
    found = compare.run([str(run), str(make("b"))]).runs[0]
    seconds = {
        path.parent.relative_to(run).as_posix(): json.loads(path.read_text())["seconds"]
        for path in run.rglob("manifest.json")
    }
    trained = sum(value for name, value in seconds.items() if name.endswith("/checkpoint"))
    inferred = sum(value for name, value in seconds.items() if name.endswith(("/held_out", "/predictions")))
    assert found.seconds["labels"] == 7.0
    assert found.seconds["training"] == pytest.approx(trained)
    assert found.seconds["inference"] == pytest.approx(inferred)
    assert sum(found.seconds.values()) == pytest.approx(sum(seconds.values()))
    assert [(pool.round, pool.p0, pool.unused) for pool in found.pools] == [(1, 0.55, 12)]
    assert found.num_steps == 3


def test_json_and_page_hold_everything_and_the_page_loads_nothing(make: Make, tmp_path: Path) -> None:
    first, second = make("a"), make("<b>")
    page, text = tmp_path / "pages" / "compare.html", tmp_path / "compare.json"
    compare.run([str(first), str(second)], json_file=text, page=page)
    assert [run["name"] for run in json.loads(text.read_text())["runs"]] == ["a", "<b>"]
    html = page.read_text()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "data:image/svg+xml;base64," in html
    assert not [address for address in ("http:", "https:", 'src="/') if address in html]
    assert "Pools at the last p0" in html


def test_runs_of_one_name_get_their_folders_name_too(make: Make) -> None:
    found = compare.run([str(make("x/run")), str(make("y/run"))])
    assert [run.name for run in found.runs] == ["x/run", "y/run"]


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        (["{run}"], "two runs or more, found 1"),
        (["{run}", "{run}"], "named twice"),
        (["{run}", "{run}:stage1"], "named twice"),  # its result
        (["{run}", "{run}:round_09"], "no measured system 'round_09': found stage1, control_01, round_01"),
        (["{run}", "{run}/none"], "none holds no run"),
        (["{run}", "{run}/stage1"], "stage1 holds no run"),
    ],
)
def test_what_cannot_be_compared_is_refused(make: Make, wanted: list[str], refusal: str) -> None:
    run = make("a")
    with pytest.raises(UserError, match=refusal):
        compare.run([each.format(run=run) for each in wanted])


def test_a_run_without_a_result_is_refused_with_the_systems_it_has(make: Make) -> None:
    first, second = make("a"), make("b")
    shutil.rmtree(second / "chosen")
    with pytest.raises(NotFinished, match=r"run b has no result yet: .*, or name one of its systems \(.*b:stage1, "):
        compare.run([str(first), str(second)])


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"gone"}))
@pytest.mark.parametrize("name", ["config.yaml", "stage1/froc/manifest.json", "round_01/pools/manifest.json"])
def test_a_damaged_run_ends_with_one_line(make: Make, name: str, way: str) -> None:
    first, second = make("a"), make("b")
    WAYS[way](second / name)
    with pytest.raises(UserError) as refused:
        compare.run([str(first), str(second)])
    assert "\n" not in str(refused.value)
