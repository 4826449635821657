"""What the card of the fine-tuned models holds; no Ray."""

import numpy as np
import pytest

from pipelines.workers.fine_tune import _card
from system.reports import ReportConfig
from system.reports.annotated import TrainingReports

NUM = 60
TRUTH = np.tile(np.array([[1, 0], [0, 1], [0, 0]], np.int8), (NUM // 3, 1))
TRAINING = TrainingReports(TRUTH, (np.arange(NUM) // 3 % 3).astype(np.int8), np.arange(NUM).astype(str))
MARGINS = np.where(TRUTH == 1, 0.2, -0.2).astype(np.float32)  # always right, and far too unsure


@pytest.mark.parametrize("calibrated", [True, False])
def test_the_models_margins_are_divided_by_a_temperature_only_where_that_is_asked_for(calibrated: bool) -> None:
    card = _card(TRAINING, MARGINS, ReportConfig.recommended(calibrated=calibrated))
    for temperatures in (*card.temperatures.values(), *card.held_out_temperatures.values()):
        assert len(temperatures) == 3
        assert max(temperatures) < 0.2 if calibrated else temperatures == [1.0, 1.0, 1.0]
