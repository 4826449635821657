"""A run's page with something in each of its parts."""

import numpy as np
import pytest

from system.figures.rows import (
    Caution,
    EpochPool,
    FlowRow,
    FrocSeries,
    Gallery,
    GalleryItem,
    HeadlineRow,
    LabelRow,
    MinedGallery,
    MinedItem,
    PageData,
    PartRow,
    PoolRow,
    PurityRow,
    Reliability,
    SplitRow,
    TimeRow,
    TrainingCurve,
)
from system.training.epoch_row import EpochRow
from tests.epoch_rows import epoch_row


def epoch(number: int) -> EpochRow:
    losses = {"total": 1 / number, "mask_strong": 0.5 / number}
    return epoch_row(losses=losses, wait_share=0.1, epoch=number, num_epochs=3, samples={"STRONG_MASS": 8})


def two_systems() -> list[HeadlineRow]:
    sensitivity = {"0.1": 0.25, "1": 0.5}
    baseline = HeadlineRow("supervised", sensitivity, 0.375, (0.3, 0.45))
    return [baseline, HeadlineRow("round 1", {"0.1": 0.375, "1": 0.625}, 0.5, (0.4, 0.6), 0.125, (-0.01, 0.2))]


@pytest.fixture(scope="session")
def headline() -> list[HeadlineRow]:
    """Two systems."""
    return two_systems()


@pytest.fixture(scope="session")
def report() -> PageData:
    image = np.linspace(0, 60000, 64 * 48).reshape(64, 48).astype(np.uint16)
    truth = np.zeros((64, 48), dtype=bool)
    truth[10:30, 10:30] = True
    item = GalleryItem(
        image,
        truth,
        np.full((16, 12), 0.25),
        np.full((16, 12), 0.75),
        "test image <1>",
        image_id="0123abcd",
        note="Lesion of 14 mm: no candidate touches it.",
        marks=[((2, 2, 20, 20), "FP", 0.61)],
    )
    return PageData(
        title="Run demo/run",
        headline=two_systems(),
        sentence="One round moved mean sensitivity from 0.375 to 0.500.",
        cautions=[Caution("Calibration made the models' probabilities worse.", "labels")],
        about={"begun": "2026-11-26 04:26 UTC", "hardware": "a processor, 2 cores, 8 GiB; no GPU"},
        splits=[SplitRow("test", 1200, 4800, 61.0), SplitRow("weak", 9, 36, float("nan"))],
        rules=["A lesion is a component."],
        froc=[
            FrocSeries("supervised", [0.0, 0.8], [0.25, 0.5], band=[(0.0, 0.2, 0.3), (0.8, 0.4, 0.6)]),
            FrocSeries("round 1", [0.05, 1.2], [0.4, 0.625]),
        ],
        pools=[PoolRow(1, 0.95, tp=12, fp=34, fn=56, tn=7890, unused=11)],
        epoch_pools=[
            EpochPool(number, epoch, 1 - 0.05 * epoch, 10 * epoch, 34, 56) for number in (1, 2) for epoch in (1, 2)
        ],
        flows=[FlowRow(2, 0.75, {"FN>TP": 1234, "FP>TN": 5}, {"map": 1236, "label": 3})],
        purity=[PurityRow(1, 0.95, "TP", 12, 0.917)],
        thresholds={"round 1, mask": 0.321},
        labels=[LabelRow("left", 400, 0.9729, 0.9873, 0.9872)],
        reliability=[Reliability("left", [0.1, 0.9], [0.05, 0.95], [300, 100], raw=[(0.02, 0.05)])],
        trainings=[TrainingCurve("supervised", [epoch(number) for number in (1, 2, 3)])],
        shown="round 1",
        parts=[PartRow("density", "c", 2400, 31, 0.345, 0.456, (0.4, 0.55))],
        galleries=[Gallery("Missed by round 1", "At 0.5 false positives per image.", [item], after="round 1")],
        mined=[
            MinedGallery(
                "TP: report and map agree on a mass",
                "The surest 1 of 12.",
                [
                    MinedItem(
                        image,
                        np.full((16, 12), 0.5),
                        "A mass in the left breast <2>.",
                        "L CC, label 0.97",
                        image_id="4567cdef",
                        flag="rules read no mass here, the label is 0.97",
                    )
                ],
            )
        ],
        timeline=[TimeRow("supervised: training", 0.0, 100.0), TimeRow("round 1: training", 150.0, 50.0)],
        config="p0:\n  start: 0.95\n",
        facts={"code digest": "ab12"},
    )
