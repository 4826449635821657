"""A run's page with something in each of its parts."""

import numpy as np
import pytest

from system.figures.rows import (
    EpochPool,
    FlowRow,
    FrocSeries,
    GalleryItem,
    HeadlineRow,
    LabelRow,
    MinedItem,
    PageData,
    PoolRow,
    PurityRow,
    Reliability,
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
    item = GalleryItem(image, truth, np.full((16, 12), 0.25), np.full((16, 12), 0.75), "test image <1>")
    return PageData(
        title="Run demo",
        headline=two_systems(),
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
        galleries={"True positives": [item]},
        mined={
            "TP: report and map agree on a mass": [
                MinedItem(image, np.full((16, 12), 0.5), "A mass in the left breast <2>.", "L CC, report 0.97")
            ]
        },
        seconds={"round_01/checkpoint": 61.25},
        config="p0:\n  start: 0.95\n",
        facts={"code digest": "ab12"},
    )
