"""A stage that asks for more than its Ray will ever have is refused, with the settings that ask for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines import room
from system.errors import UserError
from system.resources import InferResources, ReportResources, TrainResources

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]  # of 8 logical CPUs


@pytest.mark.parametrize(
    ("check", "asked"),
    [
        (
            lambda: room.check_inference(InferResources(num_predictors=2, predictor_cpus=3, decode_cpus=2.5)),
            r"resources\.infer asks for 8\.5 logical CPUs at once \(num_predictors x predictor_cpus = 6, and decode",
        ),
        (
            lambda: room.check_training(TrainResources(num_workers=3, cpus=3)),
            r"resources\.train asks for 9 logical CPUs at once \(num_workers x cpus = 3 x 3\)",
        ),
        (
            lambda: room.check_labelling(ReportResources(fit_cpus=9)),
            r"resources\.reports asks for 9 logical CPUs at once \(fit_cpus = 9\)",
        ),
        (
            lambda: room.check_labelling(ReportResources(num_labelers=9, labeler_cpus=1)),
            r"resources\.reports asks for 9 logical CPUs at once \(num_labelers x labeler_cpus = 9\)",
        ),
    ],
)
def test_more_than_there_is_is_refused(check: Callable[[], None], asked: str) -> None:
    with pytest.raises(UserError, match=rf"^{asked}.*, this machine's Ray has 8: lower them, or raise resources"):
        check()


def test_as_much_as_there_is_is_taken() -> None:
    room.check_inference(InferResources(num_predictors=2, predictor_cpus=3, decode_cpus=2))
    room.check_training(TrainResources(num_workers=9, min_workers=2, cpus=4))
    room.check_labelling(ReportResources(fit_cpus=8, num_labelers=16, labeler_cpus=0.5))


def test_a_cluster_that_others_have_started_may_grow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(room.ray_worker._global_node, "head", False, raising=False)
    room.check_training(TrainResources(num_workers=99, cpus=9))
