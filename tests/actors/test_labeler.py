from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from actors.labeler import Labeler
from system.errors import NotFinished
from system.records import Side
from system.reports.calibration import probability
from system.reports.config import ReportConfig, SmallEncoderConfig
from system.reports.encoder import build_encoder, load_classifier
from system.reports.finetune import predict_margins
from system.reports.folder import ENCODER, ReportModelCard, model_folder, read_card, save_report_models
from system.reports.rule_rates import LabelSource, RuleRates
from system.reports.text import Sections
from system.reports.tokens import load_tokenizer

REPORTS = [
    Sections("左乳见肿块。", "左乳4A类。"),
    Sections("No mass in the left breast.", "BI-RADS 1."),
    Sections("右乳未见肿块。", ""),
]
TEMPERATURES = {"L": [0.5, 1.0, 2.0], "R": [2.0, 1.0, 0.5]}
RATES, OF_FOLD_2 = RuleRates(found=0.9, none=0.05, silent=0.3), RuleRates(found=0.8, none=0.1, silent=0.4)
HELD_OUT = {"L": [0.1, 0.2, 0.3], "R": [3.0, 2.0, 1.0]}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Return a folder of six report models with weights of six seeds."""
    small = SmallEncoderConfig(hidden_size=8, num_heads=2)
    names = {side.value: [model_folder(side, fold) for fold in range(3)] for side in (Side.LEFT, Side.RIGHT)}
    for seed, name in enumerate([*names["L"], *names["R"]]):
        config = ReportConfig.small_encoder(small=small, max_tokens=32, seed=seed)
        build_encoder(tmp_path / name, "small", REPORTS, config=config, device="cpu")
    build_encoder(
        tmp_path / ENCODER,
        "small",
        REPORTS,
        config=ReportConfig.small_encoder(small=small, max_tokens=32),
        device="cpu",
    )
    card = ReportModelCard(
        names, TEMPERATURES, HELD_OUT, "models", RATES, [RATES, RATES, OF_FOLD_2], max_tokens=32, batch_size=2
    )
    save_report_models(tmp_path, card)
    return tmp_path


def with_labels(models: Path, labels: LabelSource) -> str:
    """Change what the label of a report is made of."""
    save_report_models(models, replace(read_card(models), labels=labels))
    return str(models)


def batch_of(reports: list[Sections], folds: tuple[int, ...] = (-1, -1, -1)) -> dict[str, np.ndarray]:
    return {
        "study_id": np.array([f"s{index}" for index in range(len(reports))], dtype=object),
        "version": np.arange(1, len(reports) + 1, dtype=np.int32),
        "fold": np.array(folds, np.int8),
        "description": np.array([report.description for report in reports], dtype=object),
        "impression": np.array([report.impression for report in reports], dtype=object),
    }


def margins_of(models: Path, side: Side, fold: int) -> np.ndarray:
    model, tokenizer = load_classifier(models / model_folder(side, fold)), load_tokenizer(models / ENCODER)
    return predict_margins([model], tokenizer, REPORTS, max_tokens=32, batch_size=3)[0]


@pytest.mark.parametrize(("side", "column"), [(Side.LEFT, "p_left"), (Side.RIGHT, "p_right")])
def test_a_label_is_the_mean_of_its_sides_three_calibrated_models(models: Path, side: Side, column: str) -> None:
    found = Labeler(str(models))(batch_of(REPORTS))
    each = [probability(margins_of(models, side, fold), TEMPERATURES[side][fold]) for fold in range(3)]
    assert found[column] == pytest.approx((each[0] + each[1] + each[2]) / 3, abs=1e-6)
    assert found["study_id"].tolist() == ["s0", "s1", "s2"]
    assert found["version"].tolist() == [1, 2, 3]


def test_a_report_used_in_training_is_read_by_the_one_model_that_did_not_see_it(models: Path) -> None:
    found = Labeler(str(models))(batch_of(REPORTS, folds=(-1, 2, 0)))
    for row, fold in ((1, 2), (2, 0)):
        expected = probability(margins_of(models, Side.RIGHT, fold), HELD_OUT["R"][fold])[row]
        assert found["p_right"][row] == pytest.approx(expected, abs=1e-6)


def test_the_rules_labels_are_what_their_answers_stand_for_in_reports_of_no_fold_and_of_one(models: Path) -> None:
    found = Labeler(with_labels(models, "rules"))(batch_of(REPORTS, folds=(-1, 2, 0)))
    # left: a mass; none, in a report of fold 2; not mentioned
    assert found["p_left"].tolist() == pytest.approx([0.9, 0.1, 0.3])
    assert found["p_right"].tolist() == pytest.approx([0.3, 0.4, 0.05])


def test_the_mean_is_halfway_between_models_and_rules(models: Path) -> None:
    batch = batch_of(REPORTS, folds=(-1, 2, 0))
    by_models, by_rules, both = (Labeler(with_labels(models, labels))(batch) for labels in ("models", "rules", "mean"))
    for column in ("p_left", "p_right"):
        assert both[column] == pytest.approx((by_models[column] + by_rules[column]) / 2)
        assert both[column].dtype == np.float32


def test_labels_are_probabilities_in_float32(models: Path) -> None:
    found = Labeler(str(models))(batch_of(REPORTS))
    assert found["p_left"].dtype == np.float32
    assert ((found["p_left"] > 0) & (found["p_left"] < 1)).all()


def test_a_folder_that_was_never_completed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFinished, match=r"report_models\.json.*run `mammoloop label` again"):
        Labeler(str(tmp_path))
