"""Reports labelled per second, beside a bare transformers loop over the same batches with the same models.

python benchmarks/label.py

The start of the actors is left out: a labelling of N reports is taken from one of 3N. Both sides run on one thread.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from pipelines.cluster import session
from pipelines.label import Labeling, read_by_labelers, to_rows
from system.phantom.reports import write_report
from system.phantom.truth import BreastTruth, MassShape, MassTruth
from system.records import Side
from system.reports.annotated import NO_FOLD, Reports
from system.reports.config import ReportConfig, SmallEncoderConfig
from system.reports.encoder import build_encoder
from system.reports.folder import ENCODER, ReportModelCard, model_folder, save_report_models
from system.reports.rule_rates import RuleRates
from system.reports.text import Sections
from system.resources import ClusterResources, ReportResources


def main() -> None:
    """Print the rates of both and the median of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=128, help="width of the encoders")
    parser.add_argument("--layers", type=int, default=2)
    args = parser.parse_args()
    small = SmallEncoderConfig(hidden_size=args.hidden, num_layers=args.layers)
    config = ReportConfig.small_encoder(small=small)
    reports = written(3 * args.reports)
    with tempfile.TemporaryDirectory() as text:
        models = Path(text)
        make_models(models, reports, config=config)
        with session(ClusterResources(address="local", logical_cpus=4)):
            labelled_s(models, reports, len(reports) // 3, config=config)  # the first start of actors is the slowest
            ratios = [one_pair(models, reports, config=config) for _ in range(args.repeats)]
    print(f"median ratio {statistics.median(ratios):.2f} (target 0.9) over {args.repeats} pairs")


def one_pair(models: Path, reports: Reports, *, config: ReportConfig) -> float:
    """Return the labelers' rate over the bare loop's."""
    third = len(reports) // 3
    few, many = (labelled_s(models, reports, count, config=config) for count in (third, len(reports)))
    ours = (len(reports) - third) / (many - few)
    start = time.perf_counter()
    bare_loop(models, reports.sections, config=config)
    bare = len(reports) / (time.perf_counter() - start)
    print(
        f"labelers {ours:.0f} reports/s, bare loop {bare:.0f} reports/s, ratio {ours / bare:.2f}; "
        f"{third} reports with start {few:.1f} s"
    )
    return ours / bare


def labelled_s(models: Path, reports: Reports, count: int, *, config: ReportConfig) -> float:
    """Return the seconds that labelling evenly chosen reports takes, actors' start included."""
    those = np.linspace(0, len(reports) - 1, count).astype(int)
    labeling = Labeling(models.resolve(), "benchmark", config, ReportResources())
    start = time.perf_counter()
    rows = to_rows(reports, those, np.full(count, NO_FOLD, np.int8))
    answered = sum(len(batch) for batch in read_by_labelers(rows, labeling))
    assert answered == count
    return time.perf_counter() - start


@torch.inference_mode()
def bare_loop(folder: Path, texts: list[Sections], *, config: ReportConfig) -> np.ndarray:
    """Label with nothing but transformers, batches of like length; returns [6, N] probabilities."""
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(folder / ENCODER)
    models = [
        AutoModelForSequenceClassification.from_pretrained(folder / model_folder(side, fold)).eval()
        for side in Side
        for fold in range(3)
    ]
    ordered = sorted(texts, key=lambda text: text.length)
    answers = []
    for start in range(0, len(ordered), config.label_batch_size):
        batch = ordered[start : start + config.label_batch_size]
        pairs = [text.description for text in batch], [text.impression for text in batch]
        tokens = tokenizer(*pairs, truncation=True, max_length=config.max_tokens, padding=True, return_tensors="pt")
        answers.append(np.stack([model(**tokens).logits.softmax(-1)[:, 1].numpy() for model in models]))
    return np.concatenate(answers, axis=1)


def written(count: int) -> Reports:
    """Return synthetic reports, half of them with a mass."""
    with_mass, without = BreastTruth((MassTruth(MassShape.SPICULATED, 12.0),)), BreastTruth()
    dictated = [
        write_report(
            {Side.LEFT: with_mass if at % 2 else without, Side.RIGHT: without},
            language="zh" if at % 4 < 2 else "en",
            rng=np.random.default_rng(at),
        )
        for at in range(count)
    ]
    sections = [Sections(report.description, report.impression) for report in dictated]
    return Reports([f"s{at:06d}" for at in range(count)], np.ones(count, np.int32), sections, np.ones(count, bool))


def make_models(folder: Path, reports: Reports, *, config: ReportConfig) -> None:
    """Write six models that were never fine-tuned: what they return does not matter here."""
    names = {side.value: [model_folder(side, fold) for fold in range(3)] for side in Side}
    for name in [ENCODER, *names["L"], *names["R"]]:
        build_encoder(folder / name, "small", reports.sections[:500], config=config, device="cpu")
    one = {side.value: [1.0] * 3 for side in Side}
    even = RuleRates(0.5, 0.5, 0.5)
    sizes: dict[str, int] = {"max_tokens": config.max_tokens, "batch_size": config.label_batch_size}
    save_report_models(folder, ReportModelCard(names, one, one, "models", even, [even] * 3, **sizes))


if __name__ == "__main__":
    main()
