import numpy as np
import pytest
import torch

from system.records import Side
from system.reports.config import ReportConfig, SmallEncoderConfig
from system.reports.encoder import build_encoder, load_classifier
from system.reports.finetune import Lesson, _examples, _rate, _with_gaps, ask, fit
from system.reports.text import Sections
from system.reports.tokens import load_tokenizer

LEFT_MASS, RIGHT_MASS, NONE = Sections("左乳肿块", ""), Sections("右乳肿块", ""), Sections("未见异常", "")
REPORTS = [LEFT_MASS, RIGHT_MASS, NONE, NONE] * 8
TRUTH = np.array([[1, 0], [0, 1], [0, 0], [0, 0]] * 8, np.int8)
ALL_TEACH = np.zeros(len(REPORTS), bool)
CONFIG = ReportConfig.small_encoder(
    small=SmallEncoderConfig(hidden_size=16, num_heads=2, dropout=0.0), max_tokens=16, epochs=15, learning_rate=0.02
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    build_encoder(folder, "small", REPORTS, config=CONFIG, device="cpu")
    return folder


@pytest.mark.parametrize(("side", "expected"), [(Side.LEFT, [True, False, False]), (Side.RIGHT, [False, True, False])])
def test_each_sides_model_learns_its_own_side(encoder, tmp_path, side, expected):
    fit(Lesson(side, 0, REPORTS, TRUTH, ALL_TEACH), encoder, tmp_path / "model", config=CONFIG, device="cpu")
    model, tokenizer = load_classifier(tmp_path / "model"), load_tokenizer(encoder)
    margins = ask([model], tokenizer, [LEFT_MASS, RIGHT_MASS, NONE], max_tokens=16, batch_size=2)[0]
    assert (margins > 0).tolist() == expected


@pytest.mark.parametrize(("smoothing", "margin"), [(0.2, np.log(0.9 / 0.1)), (0.5, np.log(0.75 / 0.25))])
def test_smoothed_truth_makes_no_answer_surer_than_it_is(encoder, tmp_path, smoothing, margin):
    config = CONFIG.model_copy(update={"label_smoothing": smoothing})
    fit(Lesson(Side.LEFT, 0, REPORTS, TRUTH, ALL_TEACH), encoder, tmp_path / "model", config=config, device="cpu")
    answers = ask([load_classifier(tmp_path / "model")], load_tokenizer(encoder), [LEFT_MASS, NONE], max_tokens=16, batch_size=2)[0]
    assert answers.tolist() == pytest.approx([margin, -margin], abs=0.3)


def test_the_same_lesson_gives_the_same_weights_and_another_fold_others(encoder, tmp_path):
    short = CONFIG.model_copy(update={"epochs": 1})
    for name, fold in (("one", 0), ("two", 0), ("other", 1)):
        fit(Lesson(Side.LEFT, fold, REPORTS, TRUTH, ALL_TEACH), encoder, tmp_path / name, config=short, device="cpu")
    one, two, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two", "other"))
    assert one == two
    assert one != other


def test_answers_come_in_the_order_of_the_questions_whatever_their_length(encoder):
    model, tokenizer = load_classifier(encoder), load_tokenizer(encoder)
    reports = [Sections("左乳肿块" * 3, ""), Sections("右", ""), Sections("左乳肿块", "右")]
    together = ask([model, model], tokenizer, reports, max_tokens=16, batch_size=2)
    alone = [ask([model], tokenizer, [report], max_tokens=16, batch_size=1)[0, 0] for report in reports]
    assert together == pytest.approx(np.array([alone, alone]), abs=1e-5)


def lesson_of(reports, truth):
    return Lesson(Side.LEFT, 0, reports, np.array(truth, np.int8), np.zeros(len(reports), bool))


def test_a_report_that_says_when_to_stop_teaches_neither_as_it_is_nor_mirrored():
    reports, truth = _examples(lesson_of([RIGHT_MASS, LEFT_MASS], [[0, 1], [1, 0]]), np.array([False, True]), with_mirrored=True)
    assert reports == [LEFT_MASS, RIGHT_MASS]
    assert truth.tolist() == [1, 0]


def test_teaching_stops_when_the_watching_reports_are_read_worse_and_the_best_weights_are_kept(encoder, tmp_path):
    """The watching reports contradict the teaching ones, so that every epoch after the first reads them worse."""
    watching = np.arange(len(REPORTS)) >= 16
    truth = np.where(watching[:, None], TRUTH[:, ::-1], TRUTH)
    config = CONFIG.model_copy(update={"patience_epochs": 2, "learning_rate": 0.05})
    kept = fit(Lesson(Side.LEFT, 0, REPORTS, truth, watching), encoder, tmp_path / "stopped", config=config, device="cpu")
    assert kept < 4
    assert fit(Lesson(Side.LEFT, 0, REPORTS, TRUTH, ALL_TEACH), encoder, tmp_path / "whole", config=config, device="cpu") == config.epochs


def test_a_mirrored_report_teaches_the_other_breasts_truth():
    reports, truth = _examples(lesson_of([RIGHT_MASS], [[0, 1]]), np.array([True]), with_mirrored=True)
    assert reports == [RIGHT_MASS, LEFT_MASS]
    assert truth.tolist() == [0, 1]


def test_a_breast_of_unknown_truth_teaches_nothing():
    reports, truth = _examples(lesson_of([RIGHT_MASS, NONE], [[-1, 1], [0, -1]]), np.array([True, True]), with_mirrored=False)
    assert reports == [NONE]
    assert truth.tolist() == [0]


def test_the_rate_rises_over_the_warm_up_and_falls_to_nothing():
    rates = [_rate(step, num_steps=10, warmup=0.2) for step in range(11)]
    assert rates == pytest.approx([0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0])


def test_half_the_reports_lose_one_section_and_none_loses_all():
    whole = [Sections("左", "右")] * 2000 + [Sections("左", ""), Sections("", "右")] * 500
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shown = _with_gaps(whole, share=0.5)
    assert not any(report.empty for report in shown)
    assert shown[2000:] == whole[2000:]
    assert sum(not report.impression for report in shown[:2000]) == pytest.approx(500, abs=60)
    assert sum(not report.description for report in shown[:2000]) == pytest.approx(500, abs=60)
