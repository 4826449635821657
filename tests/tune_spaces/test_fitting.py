"""A space against the configuration: what is unknown, impossible or without effect is said before anything starts."""

import pytest

from system.config import RunConfig, resolve
from system.errors import UserError
from system.presets import demo, paper
from tune_spaces import Choice, Range, Space, applied, find, fitted, keeps_stage1, own_setting

PAPER = paper()
DEMO: RunConfig = demo().of_run()  # whose rounds train no image-level branch


@pytest.mark.parametrize(
    ("domains", "words"),
    [
        ({"loss.alfa": Range(0.1, 0.9)}, "loss.alfa: no such setting; did you mean loss.alpha?"),
        ({"loss.alpha": Range(0.1, 2)}, "loss.alpha: expected at most 1, found 2"),
        ({"loss.mask_labels": Choice(("soft", "hart"))}, "loss.mask_labels: expected 'soft' or 'hard', found 'hart'"),
        ({"rounds.train.num_epochs": Range(1.5, 4)}, "rounds.train.num_epochs: expected a whole number, found 1.5"),
        ({"rounds.train.num_epochs": Range(0, 4)}, "rounds.train.num_epochs: expected at least 1, found 0"),
        ({"loss.alpha": Choice((0.1, True))}, "loss.alpha: yes, no, true or false where a number"),
        ({"loss": Choice((1,))}, "loss: expected settings below it"),
        ({"froc.fppi": Choice((1,))}, "froc.fppi: expected a list"),
        ({"loss.report_weights": Range(0, 1)}, "give \\[true, false\\]"),
        ({"froc.iou": Range(0.1, 0.3)}, "froc.iou: is what trials are judged by"),
        ({"seed": Range(0, 9)}, "seed: a trial of kind retrain does not use it$"),
        ({"rounds.p0.start": Range(0.6, 0.9)}, "does not use it; kinds that do: loop"),
        ({"stage1.learning_rate": Range(1e-5, 1e-3)}, "does not use it; kinds that do: stage1, loop"),
        ({"rounds.train.decay_factor": Range(0.1, 0.5)}, "has no effect here, rounds.train.plan is constant"),
    ],
)
def test_a_space_of_ones_own_that_does_not_fit_is_refused(domains: dict[str, Range | Choice], words: str) -> None:
    with pytest.raises(UserError, match=words):
        fitted(Space(domains | {"loss.gamma": Range(1, 2)}), kind="retrain", config=PAPER, own=True)


def test_every_mistake_is_named_at_once() -> None:
    space = Space({"loss.alfa": Range(0, 1), "loss.gamma": Range(-1, 2), "froc.iou": Range(0.1, 0.3)})
    with pytest.raises(UserError) as refused:
        fitted(space, kind="retrain", config=PAPER, own=True)
    assert len(str(refused.value).splitlines()) == 3


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UserError, match="is no kind of trial; choose one of stage1, retrain, loop"):
        fitted(find("btv", "loss"), kind="train", config=PAPER, own=False)


def test_of_our_own_spaces_what_has_no_effect_is_left_out_and_said() -> None:
    fit = fitted(find("btv", "loss"), kind="retrain", config=DEMO, own=False)
    assert list(fit.space.domains) == ["loss.alpha", "loss.gamma", "loss.mask_weak"]
    assert fit.left_out == (
        "loss.class_strong: has no effect here, rounds.train.class_factor is 0.0",
        "loss.class_weak: has no effect here, rounds.train.class_factor is 0.0",
    )
    assert all(fit.space.holds(setting) for setting in fit.space.first)


def test_a_key_that_is_idle_by_another_has_its_effect_where_that_one_is_varied() -> None:
    fit = fitted(find("btv", "wide"), kind="retrain", config=DEMO, own=False)
    assert "loss.class_weak" in fit.space.domains
    assert not fit.left_out


def test_a_space_of_another_kind_keeps_what_that_uses() -> None:
    fit = fitted(find("btv", "loss"), kind="stage1", config=PAPER, own=False)
    assert list(fit.space.domains) == ["loss.alpha", "loss.gamma"]
    assert fit.space.kind == "stage1"
    with pytest.raises(UserError, match="nothing that the space varies has an effect on a trial of kind refine"):
        fitted(find("btv", "loss"), kind="refine", config=PAPER, own=False)


def test_values_become_what_the_configuration_has() -> None:
    space = Space(
        {
            "rounds.train.num_epochs": Range(2, 6),
            "loss.alpha": Choice(("0.25", 1)),
            "rounds.fn_in_batch": Choice((None, 0.1)),
        },
        first=({"rounds.train.num_epochs": 2.0, "loss.alpha": "0.25", "rounds.fn_in_batch": None},),
    )  # YAML reads 1e-4 as a text
    fit = fitted(space, kind="retrain", config=PAPER, own=True).space
    assert fit.domains["rounds.train.num_epochs"] == Range(2, 6, whole=True)
    assert fit.domains["loss.alpha"] == Choice((0.25, 1.0))
    assert fit.first == ({"rounds.train.num_epochs": 2, "loss.alpha": 0.25, "rounds.fn_in_batch": None},)


def test_a_known_start_outside_the_space_is_refused() -> None:
    space = Space({"loss.alpha": Range(0.1, 0.9)}, first=({"loss.alpha": 0.95},))
    with pytest.raises(UserError, match=r"first: {'loss.alpha': 0.95} is no setting of the space"):
        fitted(space, kind="retrain", config=PAPER, own=True)


def test_a_setting_is_applied_with_words_nulls_and_truth_values() -> None:
    setting = {"loss.mask_labels": "hard", "rounds.fn_in_batch": None, "loss.report_weights": True, "loss.gamma": 3.0}
    config = applied(resolve(PAPER, settings=["rounds.fn_in_batch=0.2"]), setting)
    assert (config.loss.mask_labels, config.rounds.fn_in_batch, config.loss.report_weights) == ("hard", None, True)
    assert own_setting(Space({key: Choice((value,)) for key, value in setting.items()}), config) == setting


def test_stage_1_is_shared_only_where_no_setting_changes_it() -> None:
    assert keeps_stage1(["rounds.p0.start", "infer.refine.mask_threshold", "loss.mask_weak"])
    assert not keeps_stage1(["rounds.p0.start", "loss.alpha"])
    assert not keeps_stage1(["net.decoder_width"])
