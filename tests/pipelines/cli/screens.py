"""What the commands print at their end, of fixed records of about a demo's size; `python -m` this file records it."""

import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from pipelines.ingest import IngestSummary, summary_table
from pipelines.page.gather import show as show_run
from pipelines.tools.evaluate_run import Gain, SystemMeasures
from pipelines.tools.evaluate_run import show as show_measures
from system.figures.compared import on_terminal
from system.figures.rows import NAN, HeadlineRow, LabelRow, PageData, PoolRow
from system.figures.sweep_rows import Behind, SweepResults, SweepTrial
from system.figures.sweep_words import ranking, sentences
from system.figures.tables import label_table
from system.metrics import FrocConfig
from system.metrics.bootstrap import Interval
from system.metrics.classification import ImageMeasures, ThresholdMeasures
from system.metrics.subgroups import GroupRow
from system.metrics.summary import FrocSummary
from system.run.results import EvaluationCounts, FrocResult

RECORDINGS = Path(__file__).parent / "recordings"
WIDTHS = (80, 160)
FPPI = ("0.1", "0.2", "0.5", "1")
NOTE = (
    "The loop gets the labels of the models; the rules fit the annotated breasts best: average F1 0.948 against 0.861. "
    "Set reports.labels to take them."
)


def label_rows() -> list[LabelRow]:
    coverage = {"0.95": 0.5123, "0.85": 0.8412, "0.75": 0.9623}
    models = {"auroc": 0.9512, "ece_before": 0.0844, "ece": 0.1163, "brier": 0.0712, "coverage": coverage}
    return [
        LabelRow("left", 312, 0.8612, 0.8834, 0.8829, **models),
        LabelRow("right", 312, 0.8761, 0.8915, 0.8910, **models),
        LabelRow("left, by rules", 312, 0.9481, 0.9533, 0.9530),
        LabelRow("right, by rules", 312, 0.9782, 0.9801, 0.9800),
    ]


def headline_rows() -> list[HeadlineRow]:
    def row(title: str, mean: float, difference: float = NAN) -> HeadlineRow:
        at = {fppi: mean + 0.1 * (place - 1.5) for place, fppi in enumerate(FPPI)}
        ends = (difference - 0.0512, difference + 0.0478)
        return HeadlineRow(title, at, mean, (mean - 0.0831, mean + 0.0794), difference, ends)

    return [
        row("supervised", 0.5604),
        row("control 1", 0.5533, -0.0071),
        row("control 2", 0.5581, -0.0023),
        row("round 1", 0.6217, 0.0613),
        row("round 2", 0.6062, 0.0458),
    ]


def run(screen: Console) -> None:
    pools = [PoolRow(number, p0, 121, 41, 63, 1296, 296, disputed=12) for number in (1, 2) for p0 in (0.95, 0.85, 0.75)]
    data = PageData(
        "Run run",
        headline_rows(),
        labels=label_rows(),
        label_note=NOTE,
        pools=pools,
        thresholds={"supervised: mask threshold": 0.2134, "round 2: mask threshold": 0.3071},
        decisions=["round 1: mean sensitivity on validation 0.560 to 0.622, +0.061 (+0.010 to +0.109); better"],
        result="round 1: the best of 5 systems on validation, mean sensitivity 0.622",
    )
    show_run(data, page=Path("out/demo/run/page/index.html"), screen=screen)


def ingest(screen: Console) -> None:
    summary = IngestSummary(
        num_files=1920,
        num_read=1920,
        num_stored=1899,
        num_reports=480,
        quarantined={"view": 14, "not_dicom": 7},
        patients={"strong": 72, "weak": 264, "validation": 48, "test": 96},
        annotated={"strong": 72, "weak": 11},
        unidentified={"more birth dates than": 2},
        num_repeats=3,
    )
    screen.print(summary_table(summary))


def label(screen: Console) -> None:
    screen.print(label_table(label_rows(), note=NOTE))


def sweep(screen: Console) -> None:
    keys = ("loss.alpha", "loss.gamma", "loss.class_strong", "loss.mask_weak", "loss.class_weak")
    means = (0.5694, 0.5694, 0.5512, 0.5021, 0.4817)
    trials = [
        SweepTrial(
            number=number,
            setting={key: 0.0271 * (place + 1) * (number + 1) for place, key in enumerate(keys)},
            state="done",
            mean=mean,
            interval=(mean - 0.0712, mean + 0.0689),
            sensitivity={},
            seconds=3217.0,
            values=[],
            folder=f"trials/trial_{number}",
            reason="",
        )
        for number, mean in enumerate(means)
    ]
    behind = {
        number: Behind(mean - means[0], (mean - means[0] - 0.021, mean - means[0] + 0.019))
        for number, mean in enumerate(means)
    }
    behind[0] = Behind(0.0, (0.0, 0.0))
    found = SweepResults(trials, 5, start=1, behind=behind, measure="mean sensitivity", front=())
    screen.print(on_terminal(ranking(found)))
    for sentence in sentences(found):
        screen.print(sentence)


def evaluate(screen: Console) -> None:
    rules = [
        "By falling score each candidate takes the free lesion of highest IoU, if that is above 0.2.",
        "Sensitivity is the share of all lesions found; at x it is the best with no more than x false positives.",
    ]
    measured = {row.title: _measures(row) for row in headline_rows()}
    show_measures(measured, rules=rules, screen=screen)


def _measures(row: HeadlineRow) -> SystemMeasures:
    summary = FrocSummary(dict(row.sensitivity), {}, row.mean, row.interval, 1000, 3.2, ())
    at = ThresholdMeasures(0.8312, 0.7123, 0.7444, 0.8019, 0.8291)
    peak = ImageMeasures(row.mean + 0.2, (row.mean + 0.1, row.mean + 0.3), 0.7123, {"0.85": 0.6111}, at)
    nothing = ThresholdMeasures(NAN, NAN, NAN, NAN, NAN)
    no_score = ImageMeasures(NAN, (NAN, NAN), NAN, {"0.85": NAN}, nothing)
    counts = EvaluationCounts(384, 96, 112, 0, 0, 80, 240, 12)
    result = FrocResult(
        "test", FrocConfig(), 0.2, summary, summary, counts, 0.7123, 0.6532, {"peak": peak, "p_image": no_score}
    )
    groups = [
        GroupRow(kind, name, 192, 56, dict(row.sensitivity), row.mean, Interval(*row.interval, 1000))
        for kind, name in (("view", "CC"), ("view", "MLO"), ("density", "a"), ("lesion size", "up to 10 mm"))
    ]
    gain = Gain(row.difference, row.difference_interval)
    return SystemMeasures(row, groups, result, {"peak": gain, "p_image": Gain(NAN, (NAN, NAN))})


SCREENS: dict[str, Callable[[Console], None]] = {
    "demo": run,  # the two end alike
    "ingest": ingest,
    "label": label,
    "selftrain": run,
    "sweep": sweep,
    "evaluate": evaluate,
}


def printed(command: str, *, columns: int, terminal: bool = True) -> str:
    """Return what the command prints on a terminal of this width, without colours; or where it is piped."""
    file = io.StringIO()
    width = columns if terminal else 100_000
    screen = Console(
        file=file, width=width, force_terminal=terminal, color_system=None, markup=False, highlight=False, emoji=False
    )
    SCREENS[command](screen)
    return file.getvalue()


def recording(command: str, columns: int) -> Path:
    return RECORDINGS / f"{'selftrain' if command == 'demo' else command}_{columns}.txt"


if __name__ == "__main__":
    for name in SCREENS:
        for width in WIDTHS:
            recording(name, width).write_text(printed(name, columns=width), encoding="utf8")
