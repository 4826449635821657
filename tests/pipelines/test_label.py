"""Labelling through Ray: models fine-tuned once, every report labelled, and only what is new read again."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import label, selftrain
from pipelines.page.gather import label_note, label_rows
from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.errors import UserError
from system.files.parquet import read_table
from system.imaging import ImagingConfig
from system.phantom.reports import write_report
from system.phantom.truth import BreastTruth, MassShape, MassTruth
from system.presets import demo
from system.records import Side
from system.reports import ReportConfig, SmallEncoderConfig
from system.reports.annotated import read_reports
from system.reports.rule_rates import RuleRates
from system.resources import ReportResources
from system.run.folder import RunFolder
from system.run.results import LabelResult
from system.run.stage import Stage, Written
from tests.pipelines.fixture_types import Killing

# Ray Data sets its own deprecated options when it copies its context.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:ray.data.context", "ignore::UserWarning:ray.data.context"
)

NUM_ANNOTATED, NUM_WEAK = 18, 7
WORKING_S = 0.3  # that a labeler works before it is killed
SIDELESS = "Mass. BI-RADS 5."
TINY = ReportConfig.small_encoder(
    small=SmallEncoderConfig(hidden_size=8, num_heads=2, num_layers=1),
    epochs=1,
    max_tokens=48,
    label_batch_size=4,
)
RESOURCES = ReportResources(fits_at_once=1)


def report_row(study: str, index: int, *, version: int = 1, status: str = "final") -> dict[str, Any]:
    mass = BreastTruth((MassTruth(MassShape.SPICULATED, 12.0),))
    findings = {Side.LEFT: mass if index % 2 else BreastTruth(), Side.RIGHT: BreastTruth() if index % 2 else mass}
    report = write_report(findings, language="zh" if index % 3 else "en", rng=np.random.default_rng(index))
    written = {"description": report.description, "impression": report.impression, "language": report.language}
    return {"study_id": study, "version": version, "status": status, "source": "test"} | written


def image_row(study: str, side: str, split: str) -> dict[str, Any]:
    numbers = {"image_key": abs(hash((study, side))), "rows": 8, "cols": 8, "spacing_mm": 1.0}
    texts = {"view": "CC", "geometry": "", "pixel_sha": "", "source": "test", "side": side, "split": split}
    return {"image_id": f"{study}-{side}", "patient_id": f"patient of {study}", "study_id": study} | numbers | texts


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    made = Archive.create(str(tmp_path_factory.mktemp("label") / "archive"), imaging=ImagingConfig())
    strong, weak = (
        [f"strong{index:02d}" for index in range(NUM_ANNOTATED)],
        [f"weak{index}" for index in range(NUM_WEAK)],
    )
    images = [image_row(study, side, "strong") for study in strong for side in "LR"] + [
        image_row(study, "L", "weak") for study in weak
    ]
    masks = [
        {"image_id": f"{study}-{'L' if index % 2 else 'R'}", "mask_sha": "", "num_lesions": 1, "area_px": 9}
        for index, study in enumerate(strong)
    ]
    reports = [report_row(study, index) for index, study in enumerate([*strong, *weak, "withdrawn"])]
    reports.append(report_row("withdrawn", 0, version=2, status="withdrawn"))
    reports.append(
        dict.fromkeys(SCHEMAS["reports"].names, "") | {"study_id": "silent", "version": 1, "status": "final"}
    )
    reports.append(
        dict.fromkeys(SCHEMAS["reports"].names, "")
        | {"study_id": "no side", "version": 1, "status": "final", "impression": SIDELESS}
    )
    for name, rows in (("images", images), ("masks", masks), ("reports", reports)):
        made.upsert(name, pa.Table.from_pylist(rows, schema=SCHEMAS[name]))
    old = {"study_id": "withdrawn", "side": "L", "p_mass": 0.99, "model": "of last month", "report_version": 1}
    made.upsert("labels", pa.Table.from_pylist([old], schema=SCHEMAS["labels"]))
    return made


@pytest.fixture(scope="module")
def stage(ray_cluster: Path, archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Stage[LabelResult]:
    """The archive labelled once; fine-tuning takes the time of these tests."""
    out = tmp_path_factory.mktemp("labelled")
    label.run(archive.uri, config=TINY, resources=RESOURCES, stage=RunFolder(out).next_labelling())
    found = RunFolder(out).last_labelling()
    assert found
    return found


@pytest.mark.ray
@pytest.mark.slow
def test_every_report_gets_two_labels_and_a_withdrawn_empty_or_sideless_one_none(
    archive: Archive, stage: Stage[LabelResult]
) -> None:
    manifest = stage.manifest()
    assert manifest is not None
    result = manifest.result

    labels = labels_of(archive)
    assert np.isnan(labels.loc[("withdrawn", "L"), "p_mass"])
    assert labels.loc["no side", "p_mass"].isna().tolist() == [True, True]
    labels = labels.drop(("withdrawn", "L")).drop("no side")
    studies = {f"strong{index:02d}" for index in range(NUM_ANNOTATED)} | {f"weak{index}" for index in range(NUM_WEAK)}
    assert set(labels.index) == {(study, side) for study in studies for side in "LR"}
    assert labels["p_mass"].between(0, 1).all()
    assert labels.loc["weak0", "model"].str.endswith("/mean").all()
    assert labels.loc["strong00", "model"].str.endswith("/held-out").all()
    assert (labels["report_version"] == 1).all()

    held_out = pq.ParquetFile(stage.path("out_of_fold.parquet")).read().to_pandas()
    truth = held_out.set_index(["study_id", "side"])["truth"].to_dict()
    assert truth["strong00", "R"] == 1
    assert truth["strong00", "L"] == 0
    assert result.sides["left"].models.num_breasts == NUM_ANNOTATED
    assert result.sides["left"].rules.accuracy == 1
    assert set(result.sides["right"].by_language) == {"en", "zh"}
    assert result.num_no_side == 1
    kept = [name for name in manifest.files if name.endswith("model.safetensors")]
    assert len(kept) == 7  # six models and what they started from
    assert not [name for name in manifest.files if name.endswith((".bin", ".pt", ".pkl"))]

    assert result.labels == "models"
    assert label_note(result).endswith("; reports.labels=rules would fit better")  # one epoch teaches the models little
    assert [row.title for row in label_rows(result)][:6] == [
        *("left", "right", "left, by rules", "right, by rules", "left, mean of both", "right, mean of both"),
    ]

    before = archive.versions()["labels"]
    assert label.run(archive.uri, config=TINY, resources=RESOURCES, stage=stage) == result
    assert archive.versions()["labels"] == before


def refresh(archive: Archive, stage: Stage[LabelResult]) -> label.LabelRefresh:
    return label.refresh(archive.uri, config=TINY, resources=RESOURCES, stage=stage)


def labels_of(archive: Archive) -> Any:
    """Return the table as a DataFrame by study and side; pandas' types do not know what its `loc` gives."""
    return archive.table("labels").to_pandas().set_index(["study_id", "side"]).sort_index()


@pytest.mark.ray
@pytest.mark.slow
def test_only_what_is_new_or_changed_is_read_again_and_a_report_of_the_fine_tuning_by_its_folds_model_alone(
    archive: Archive, stage: Stage[LabelResult], tmp_path: Path
) -> None:
    archive = Archive.open(str(shutil.copytree(archive.uri, tmp_path / "archive")))
    before = labels_of(archive)
    assert refresh(archive, stage) == label.LabelRefresh(0, NUM_ANNOTATED + NUM_WEAK + 1, 0)
    assert labels_of(archive).equals(before)

    same_text = {key: archive.table("reports").to_pylist()[0][key] for key in ("study_id", "description", "impression")}
    new = [
        report_row("weak0", 3, version=2),  # another text
        report_row("weak1", 0, version=2, status="withdrawn"),
        report_row("tonight", 2),
        report_row(same_text["study_id"], 0, version=2)
        | same_text,  # a report of the fine-tuning, sent again as it was
    ]
    archive.upsert("reports", pa.Table.from_pylist(new, schema=SCHEMAS["reports"]))
    assert refresh(archive, stage).num_labelled == 3
    after = labels_of(archive)
    assert after.loc["weak1", "p_mass"].isna().all()
    assert after.loc["tonight", "p_mass"].between(0, 1).all()
    assert (after.loc["weak0", "p_mass"] != before.loc["weak0", "p_mass"]).all()
    assert after.loc[same_text["study_id"], "p_mass"].to_numpy() == pytest.approx(
        before.loc[same_text["study_id"], "p_mass"].to_numpy(), abs=1e-6
    )
    untouched = before.drop(["weak0", "weak1", same_text["study_id"]])
    assert after.loc[untouched.index].equals(untouched)
    assert refresh(archive, stage) == label.LabelRefresh(0, NUM_ANNOTATED + NUM_WEAK + 1, 0)


@pytest.mark.ray
@pytest.mark.slow
def test_with_the_rules_labels_every_report_old_and_new_gets_what_the_rules_answer_stands_for(
    archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    archive = Archive.open(str(shutil.copytree(archive.uri, tmp_path / "archive")))
    config = TINY.changed(labels="rules")
    stage = RunFolder(tmp_path / "run").next_labelling()
    with caplog.at_level("INFO", logger="pipelines.label"):
        result = label.run(archive.uri, config=config, resources=RESOURCES, stage=stage)
    assert (result.labels, "no other fits better" in caplog.text) == ("rules", True)
    assert result.rules.found > 0.8
    labels = labels_of(archive)
    assert labels.loc["weak0", "model"].str.endswith("/rules").all()
    assert labels.loc["strong00", "model"].str.endswith("/rules-held-out").all()
    assert labels.loc[("weak0", "R"), "p_mass"] == pytest.approx(result.rules.found)
    assert labels.loc[("weak0", "L"), "p_mass"] < 0.5
    held_out = read_table(stage.path("out_of_fold.parquet")).to_pandas()
    assert (held_out["p_mass"] == held_out["p_rules"]).all()

    archive.upsert("reports", pa.Table.from_pylist([report_row("tonight", 1)], schema=SCHEMAS["reports"]))
    assert label.refresh(archive.uri, config=config, resources=RESOURCES, stage=stage).num_labelled == 1
    assert labels_of(archive).loc[("tonight", "L"), "p_mass"] == pytest.approx(result.rules.found)
    assert labels_of(archive).loc["tonight", "model"].str.endswith("/rules").all()


@pytest.mark.ray
@pytest.mark.slow
def test_killing_a_labeler_midway_changes_no_label(stage: Stage[LabelResult], killing: Killing) -> None:
    models = stage.path("report_models.json").parent.resolve()
    reports = read_reports(
        pa.Table.from_pylist([report_row(f"r{at:04d}", at) for at in range(600)], schema=SCHEMAS["reports"]),
        config=TINY,
    )
    rows = label.to_rows(reports, np.arange(600), np.full(600, -1, np.int8))

    labeling = label.Labeling(models, stage.result().models, TINY, RESOURCES)
    calm = pa.concat_tables(label.read_by_labelers(rows, labeling)).sort_by("study_id")
    killed: list[int] = []
    with killing("(Labeler)", into=killed, after_s=WORKING_S):
        disturbed = pa.concat_tables(label.read_by_labelers(rows, labeling)).sort_by("study_id")
        assert killed, "no labeler was killed while there was work"
    assert disturbed.equals(calm)


@pytest.mark.ray
def test_an_encoder_that_is_nowhere_fails_before_any_task_with_the_setting_named(
    ray_cluster: Path, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"^reports\.encoder: hfl/chinese-roberta-wwm-ext is no local folder"):
        label.run(
            archive.uri,
            config=ReportConfig(),
            resources=RESOURCES,
            stage=Stage(tmp_path / "run", "labels", LabelResult),
        )


def done(folder: Path, *, models: str = "mine", config: ReportConfig = TINY, num_labels: int = 0) -> Stage[LabelResult]:
    """Return a finished labelling without any file."""
    stage = Stage(folder, "labels", LabelResult)
    stage.once(
        lambda _: Written(
            LabelResult(models, {}, {}, {}, num_labels, 0, "models", RuleRates(0.5, 0.5, 0.5)), settings=config
        )
    )
    return stage


@pytest.mark.parametrize("use", [label.run, label.refresh])
def test_a_finished_labelling_is_not_taken_over_with_other_settings(use: Callable[..., object], tmp_path: Path) -> None:
    stage = done(tmp_path / "run", config=TINY.changed(epochs=3))
    refusal = r"stage labels of run run was done with other settings \(reports\.epochs: 3, now 1\): give the same"
    with pytest.raises(UserError, match=refusal):
        use("nowhere", config=TINY, resources=RESOURCES, stage=stage)


def test_a_finished_labelling_is_taken_over_with_other_resources(tmp_path: Path) -> None:
    stage = done(tmp_path / "run")
    found = label.run("nowhere", config=TINY, resources=RESOURCES.changed(num_labelers=7), stage=stage)
    assert found == stage.result()


@pytest.mark.parametrize(
    ("writers", "refused"), [(["mine/mean", "withdrawn"], False), (["mine/mean", "other/mean"], True)]
)
def test_a_run_begins_only_with_labels_of_its_own_models(writers: list[str], refused: bool, tmp_path: Path) -> None:
    archive = Archive.create(str(tmp_path / "archive"), imaging=ImagingConfig())
    rows = [
        {"study_id": f"s{at}", "side": "L", "p_mass": 0.5, "model": model, "report_version": 1}
        for at, model in enumerate(writers)
    ]
    archive.upsert("labels", pa.Table.from_pylist(rows, schema=SCHEMAS["labels"]))
    stage = done(tmp_path / "run")
    if not refused:
        label.check_current(archive.uri, stage=stage)
        return
    with pytest.raises(UserError, match=r"labels of other report models \(other\) than labels of run run \(mine\)"):
        label.check_current(archive.uri, stage=stage)


def test_selftrain_pins_no_archive_that_the_runs_models_never_labelled(tmp_path: Path) -> None:
    other = Archive.create(str(tmp_path / "other"), imaging=ImagingConfig())
    done(tmp_path / "run", num_labels=2)
    refusal = (
        r"the archive has no label of labels of run run \(mine\), which labelled another archive: name that one; or"
    )
    with pytest.raises(UserError, match=refusal):
        selftrain.prepare(other.uri, RunFolder(tmp_path / "run"), config=demo().of_run().changed(reports=TINY))
    assert not RunFolder(tmp_path / "run").archive_pin.finished


def test_selftrain_pins_no_archive_whose_labels_other_models_have_replaced(tmp_path: Path) -> None:
    config = demo().of_run().changed(reports=TINY)
    archive = Archive.create(str(tmp_path / "archive"), imaging=ImagingConfig())
    row = {"study_id": "s", "side": "L", "p_mass": 0.5, "model": "other/mean", "report_version": 1}
    archive.upsert("labels", pa.Table.from_pylist([row], schema=SCHEMAS["labels"]))
    done(tmp_path / "run")
    with pytest.raises(UserError, match=r"\(other\) than labels of run run \(mine\)"):
        selftrain.prepare(archive.uri, RunFolder(tmp_path / "run"), config=config)
    assert not RunFolder(tmp_path / "run").archive_pin.finished
