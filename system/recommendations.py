"""Why `recommended` differs from `paper`, key by key, and the table of it in docs/method.md."""

from collections.abc import Iterator
from dataclasses import dataclass

from system.presets import paper, recommended
from system.settings import flat

_SPLIT = "test patients are drawn from the same source, and each patient keeps their split however many come later"
_REPORTS = "as BERTs are usually fine-tuned; not measured against the paper's"
_STEADY = "films and units differ in position and brightness, and a rare batch must not throw the weights far off"
_HALF = (
    "mined images crowd the outlines out: on phantoms at 100 % of the outlines 30 of 294 positives were strong, and "
    "round 2 rose from .65 to .76 and from .63 to .72 with half of each batch strong (two seeds)"
)
_BETTER = "a round may harm, and validation shows it: a model that is no better stays on disk"

REASONS = {
    "reports.validation_share": _REPORTS,
    "reports.max_tokens": "half the length takes less than half the time and holds the reports we know",
    "reports.mirrored": _REPORTS,
    "reports.pooler": _REPORTS,
    "reports.calibrated": "p0 = .95 is taken at its word, so probabilities must be right, not only ordered",
    "loss.class_gradient": (
        "at the start the image-level term sends 175 times the gradient of the mask term into the trunk "
        "(hrnet_w18_small, 256 x 192 px); on phantoms round 2 found .77 without it and .70 with it"
    ),
    "loss.empty_masks": "on phantoms round 2 found .70 with empty masks for FP and .61 without",
    "loss.report_weights": "a report at p0 is less sure than one at 1; the effect by itself is in the ablations",
    "stage1.gradient_norm": _STEADY,
    "stage1.patience_epochs": "rounds must bring more than the steps that Stage 1 was cut short by",
    "stage1.augment.shift": _STEADY,
    "stage1.augment.gain": _STEADY,
    "rounds.train.gradient_norm": _STEADY,
    "rounds.train.augment.shift": _STEADY,
    "rounds.train.augment.gain": _STEADY,
    "rounds.strong_in_batch.positives": _HALF,
    "rounds.strong_in_batch.negatives": _HALF,
    "rounds.fn_in_batch": "FN held 27 to 46 % of the positive places, train no pixel, and a quarter show no mass",
    "rounds.disputed": (
        "the better the network, the more FP are masses that the report leaves out: 7 % in round 1, up to 24 % in "
        "round 2 on phantoms; without the disputed round 2 rose from .67 to .72"
    ),
    "rounds.promote": _BETTER,
    "rounds.patience": _BETTER,
    "infer.refine.mask_threshold": "soft focal losses keep maps far below .5: cut there, hardly an image is TP",
    "infer.refine.mask_extent": "one threshold leaves a few pixels of a faint mass; its own peak leaves its shape",
    "infer.refine.min_candidate_px": "specks of the mask are no masses",
    "froc.candidates": "a threshold chosen on the few lesions of validation is noise: it alone hid .74 behind .62",
    "choose_candidate_threshold": "candidates end at half of their own peak, so there is none to choose",
    "ingest.split.strong": _SPLIT,
    "ingest.split.validation": _SPLIT,
    "ingest.split.test": _SPLIT,
    "ingest.split.draw": _SPLIT,
}


@dataclass(frozen=True)
class Difference:
    """One key in which the recommended settings differ from the paper's."""

    key: str
    paper: str
    recommended: str
    reason: str


def differences() -> Iterator[Difference]:
    """Give every difference in the order of the keys. Raises KeyError for one without a reason."""
    before, now = (flat(preset().of_run().model_dump(mode="json")) for preset in (paper, recommended))
    for key, value in now.items():
        if before[key] != value:
            yield Difference(key, _text(before[key]), _text(value), REASONS[key])


def as_markdown() -> str:
    """Return the differences as a table, as docs/method.md has it."""
    rows = [f"| `{one.key}` | {one.paper} | {one.recommended} | {one.reason} |" for one in differences()]
    return "\n".join(["| key | `paper` | `recommended` | why |", "|---|---|---|---|", *rows])


def _text(value: object) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
    return str(value)
