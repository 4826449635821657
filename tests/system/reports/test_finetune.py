from pathlib import Path

import numpy as np
import pytest
import torch

from system.errors import UserError
from system.records import Side
from system.reports.config import ReportConfig, SmallEncoderConfig
from system.reports.encoder import build_encoder, load_classifier
from system.reports.finetune import FineTuneJob, _drop_sections, _examples, _rate, fit, predict_margins
from system.reports.text import Sections
from system.reports.tokens import load_tokenizer

LEFT_MASS, RIGHT_MASS, NONE = Sections("左乳肿块", ""), Sections("右乳肿块", ""), Sections("未见异常", "")
REPORTS = [LEFT_MASS, RIGHT_MASS, NONE, NONE] * 8
TRUTH = np.array([[1, 0], [0, 1], [0, 0], [0, 0]] * 8, np.int8)
NO_EARLY_STOPPING = np.zeros(len(REPORTS), bool)
CONFIG = ReportConfig.small_encoder(
    small=SmallEncoderConfig(hidden_size=16, num_heads=2, dropout=0.0), max_tokens=16, epochs=15, learning_rate=0.02
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    build_encoder(folder, "small", REPORTS, config=CONFIG, device="cpu")
    return folder


@pytest.mark.parametrize(("side", "expected"), [(Side.LEFT, [True, False, False]), (Side.RIGHT, [False, True, False])])
def test_each_sides_model_learns_its_own_side(encoder: Path, tmp_path: Path, side: Side, expected: list[bool]) -> None:
    fit(
        FineTuneJob(side, 0, REPORTS, TRUTH, NO_EARLY_STOPPING),
        encoder,
        tmp_path / "model",
        config=CONFIG,
        device="cpu",
    )
    model, tokenizer = load_classifier(tmp_path / "model"), load_tokenizer(encoder)
    margins = predict_margins([model], tokenizer, [LEFT_MASS, RIGHT_MASS, NONE], max_tokens=16, batch_size=2)[0]
    assert (margins > 0).tolist() == expected


@pytest.mark.parametrize(("smoothing", "margin"), [(0.2, np.log(0.9 / 0.1)), (0.5, np.log(0.75 / 0.25))])
def test_with_smoothed_truth_no_margin_exceeds_the_log_odds_of_the_smoothed_truth(
    encoder: Path, tmp_path: Path, smoothing: float, margin: float
) -> None:
    config = CONFIG.model_copy(update={"label_smoothing": smoothing})
    fit(
        FineTuneJob(Side.LEFT, 0, REPORTS, TRUTH, NO_EARLY_STOPPING),
        encoder,
        tmp_path / "model",
        config=config,
        device="cpu",
    )
    margins = predict_margins(
        [load_classifier(tmp_path / "model")], load_tokenizer(encoder), [LEFT_MASS, NONE], max_tokens=16, batch_size=2
    )[0]
    assert margins.tolist() == pytest.approx([margin, -margin], abs=0.3)


def test_the_same_job_gives_the_same_weights_and_another_fold_others(encoder: Path, tmp_path: Path) -> None:
    short = CONFIG.model_copy(update={"epochs": 1})
    for name, fold in (("one", 0), ("two", 0), ("other", 1)):
        fit(
            FineTuneJob(Side.LEFT, fold, REPORTS, TRUTH, NO_EARLY_STOPPING),
            encoder,
            tmp_path / name,
            config=short,
            device="cpu",
        )
    one, two, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two", "other"))
    assert one == two
    assert one != other


def test_margins_come_in_the_order_of_the_reports_whatever_their_length(encoder: Path) -> None:
    model, tokenizer = load_classifier(encoder), load_tokenizer(encoder)
    reports = [Sections("左乳肿块" * 3, ""), Sections("右", ""), Sections("左乳肿块", "右")]
    together = predict_margins([model, model], tokenizer, reports, max_tokens=16, batch_size=2)
    alone = [predict_margins([model], tokenizer, [report], max_tokens=16, batch_size=1)[0, 0] for report in reports]
    assert together == pytest.approx(np.array([alone, alone]), abs=1e-5)


def job_of(reports: list[Sections], truth: list[list[int]]) -> FineTuneJob:
    return FineTuneJob(Side.LEFT, 0, reports, np.array(truth, np.int8), np.zeros(len(reports), bool))


def test_a_report_for_early_stopping_trains_neither_as_it_is_nor_mirrored() -> None:
    reports, truth = _examples(
        job_of([RIGHT_MASS, LEFT_MASS], [[0, 1], [1, 0]]), np.array([False, True]), with_mirrored=True
    )
    assert reports == [LEFT_MASS, RIGHT_MASS]
    assert truth.tolist() == [1, 0]


def test_fine_tuning_stops_when_the_validation_loss_rises_and_the_best_weights_are_kept(
    encoder: Path, tmp_path: Path
) -> None:
    """The early-stopping reports contradict the training ones, so that their loss rises after the first epoch."""
    early_stopping = np.arange(len(REPORTS)) >= 16
    truth = np.where(early_stopping[:, None], TRUTH[:, ::-1], TRUTH)
    config = CONFIG.model_copy(update={"patience_epochs": 2, "learning_rate": 0.05})
    kept = fit(
        FineTuneJob(Side.LEFT, 0, REPORTS, truth, early_stopping),
        encoder,
        tmp_path / "stopped",
        config=config,
        device="cpu",
    )
    assert kept < 4
    assert (
        fit(
            FineTuneJob(Side.LEFT, 0, REPORTS, TRUTH, NO_EARLY_STOPPING),
            encoder,
            tmp_path / "whole",
            config=config,
            device="cpu",
        )
        == config.epochs
    )


def test_a_mirrored_report_trains_with_the_other_breasts_truth() -> None:
    reports, truth = _examples(job_of([RIGHT_MASS], [[0, 1]]), np.array([True]), with_mirrored=True)
    assert reports == [RIGHT_MASS, LEFT_MASS]
    assert truth.tolist() == [0, 1]


def test_a_report_whose_sides_cannot_be_exchanged_trains_once() -> None:
    odd, both = Sections("righT breast: mass", ""), Sections("Both breasts: no mass", "")
    reports, truth = _examples(job_of([odd, both], [[0, 1], [0, 0]]), np.array([True, True]), with_mirrored=True)
    assert [report.description for report in reports] == [odd.description, both.description, both.description]
    assert len(truth) == 3


def test_a_report_with_abbreviated_sides_trains_mirrored() -> None:
    report = Sections("RCC: mass. L breast: negative", "")
    reports, truth = _examples(job_of([report], [[0, 1]]), np.array([True]), with_mirrored=True)
    assert [each.description for each in reports] == [report.description, "LCC: mass. R breast: negative"]
    assert truth[0] != truth[1]


def test_a_breast_of_unknown_truth_trains_nothing() -> None:
    reports, truth = _examples(
        job_of([RIGHT_MASS, NONE], [[-1, 1], [0, -1]]), np.array([True, True]), with_mirrored=False
    )
    assert reports == [NONE]
    assert truth.tolist() == [0]


def test_the_rate_rises_over_the_warm_up_and_falls_to_zero() -> None:
    rates = [_rate(step, num_steps=10, warmup=0.2) for step in range(11)]
    assert rates == pytest.approx([0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0])


def test_half_the_reports_lose_one_section_and_none_loses_all() -> None:
    whole = [Sections("左", "右")] * 2000 + [Sections("左", ""), Sections("", "右")] * 500
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shown = _drop_sections(whole, share=0.5)
    assert not any(report.empty for report in shown)
    assert shown[2000:] == whole[2000:]
    assert sum(not report.impression for report in shown[:2000]) == pytest.approx(500, abs=60)
    assert sum(not report.description for report in shown[:2000]) == pytest.approx(500, abs=60)


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_a_model_that_diverges_is_named_with_the_setting(encoder: Path, tmp_path: Path, share: float) -> None:
    stopping = np.arange(len(REPORTS)) < share * len(REPORTS)
    job = FineTuneJob(Side.LEFT, 1, REPORTS, TRUTH, stopping)
    refusal = r"report model L_1 has diverged .*: lower reports\.learning_rate"
    with pytest.raises(UserError, match=refusal):
        fit(job, encoder, tmp_path / "model", config=CONFIG.changed(learning_rate=1e36, epochs=2), device="cpu")
    assert not (tmp_path / "model").exists()
