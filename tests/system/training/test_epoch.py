from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn

from system.losses import LossConfig
from system.methods import Batch
from system.training.config import AugmentConfig, TrainConfig
from system.training.epoch import Learner, TrainingDivergedError, resolve_precision, run_epoch

MakeBatch = Callable[..., Batch]
MakeLearner = Callable[..., Learner]


@pytest.fixture
def config(still: AugmentConfig) -> TrainConfig:
    return TrainConfig(
        num_epochs=4, plan="constant", learning_rate=1e-3, class_factor=1.0, precision="fp32", augment=still
    )


def with_nan_loss(batch: Batch) -> Batch:
    """Return the batch with a target that makes the loss NaN while the network's own numbers stay finite."""
    return replace(batch, targets=replace(batch.targets, p_mass=torch.full_like(batch.targets.p_mass, float("nan"))))


def parameters(learner: Learner) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in learner.model.parameters()]


@pytest.mark.parametrize("backbone", ["hrnet_w18_small", pytest.param("hrnet_w48", marks=pytest.mark.slow)])
def test_the_losses_of_one_batch_fall_when_it_is_repeated(
    make_batch: MakeBatch, make_learner: MakeLearner, config: TrainConfig, backbone: str
) -> None:
    learner, batch = make_learner(config, backbone=backbone), make_batch(1)
    first = run_epoch(learner, [batch], epoch=0, steps_per_epoch=1)
    run_epoch(learner, [batch] * 12, epoch=1, steps_per_epoch=12)
    last = run_epoch(learner, [batch], epoch=2, steps_per_epoch=1)
    for name in ("total", "mask_strong", "class_strong"):
        assert last.losses[name] < 0.5 * first.losses[name]
    assert (first.num_steps, first.bad_steps) == (1, 0)


def test_the_result_holds_the_mean_of_each_loss_over_the_epoch(
    make_batch: MakeBatch, make_learner: MakeLearner, config: TrainConfig
) -> None:
    batches = [make_batch(1), make_batch(2)]
    frozen = config.model_copy(update={"learning_rate": 1e-30})
    both = run_epoch(make_learner(frozen), batches, epoch=0, steps_per_epoch=2)
    each = [run_epoch(make_learner(frozen), [batch], epoch=0, steps_per_epoch=1) for batch in batches]
    for name, value in both.losses.items():
        assert value == pytest.approx((each[0].losses[name] + each[1].losses[name]) / 2, rel=1e-5)
    assert both.gradient_norm == pytest.approx((each[0].gradient_norm + each[1].gradient_norm) / 2, rel=1e-4)
    assert both.losses["mask_weak"] == both.losses["class_weak"] == 0
    assert 0 <= both.wait_share <= 1


@pytest.mark.parametrize("passes_of", [1, 2, 3])
def test_several_passes_take_the_step_of_one(
    make_batch: MakeBatch, make_learner: MakeLearner, config: TrainConfig, passes_of: int
) -> None:
    """With frozen norms: those see the images of one pass, which is the price of small ones."""
    config = config.model_copy(update={"gradient_norm": 1e6})
    whole, in_passes = make_learner(config), make_learner(config.model_copy(update={"micro_batch_size": passes_of}))
    batch = make_batch(1)
    for learner in (whole, in_passes):
        learner.model.eval()
    expected = run_epoch(whole, [batch], epoch=0, steps_per_epoch=1)
    found = run_epoch(in_passes, [batch], epoch=0, steps_per_epoch=1)
    assert found.losses == pytest.approx(expected.losses, rel=1e-5)
    assert found.gradient_norm == pytest.approx(expected.gradient_norm, rel=1e-4)
    for ours, theirs in zip(in_passes.model.parameters(), whole.model.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        if theirs.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5 * expected.gradient_norm)


@pytest.mark.parametrize("passes_of", [0, 1, 3])
def test_pixel_mean_positive_divides_by_the_cells_of_the_whole_batch_whatever_the_passes(
    make_batch: MakeBatch, make_learner: MakeLearner, config: TrainConfig, passes_of: int
) -> None:
    """In passes of one image half of them show no mass at all. Two of four images have masses of 16 of 64 cells."""
    by_image = make_learner(config)
    by_cell = replace(make_learner(config.changed(micro_batch_size=passes_of)), loss=LossConfig(pixel_mean="positive"))
    for learner in (by_image, by_cell):
        learner.model.eval()
    per_image, per_cell = (
        run_epoch(learner, [make_batch(1)], epoch=0, steps_per_epoch=1) for learner in (by_image, by_cell)
    )
    assert per_cell.losses["mask_strong"] == pytest.approx(
        per_image.losses["mask_strong"] * 4 * 64 / (2 * 16), rel=1e-4
    )
    assert per_cell.losses["class_strong"] == pytest.approx(per_image.losses["class_strong"], rel=1e-4)


def test_a_batch_without_a_mass_is_divided_by_one_cell(
    make_batch: MakeBatch, make_learner: MakeLearner, config: TrainConfig
) -> None:
    batch = make_batch(1)
    empty = replace(batch, targets=replace(batch.targets, mask=torch.zeros_like(batch.targets.mask)))
    learners = make_learner(config), replace(make_learner(config), loss=LossConfig(pixel_mean="positive"))
    found = [run_epoch(learner, [empty], epoch=0, steps_per_epoch=1).losses["mask_strong"] for learner in learners]
    assert found[1] == pytest.approx(found[0] * 4 * 64, rel=1e-4)


def test_a_step_whose_loss_is_nan_is_skipped_and_counted(
    make_batch: MakeBatch, make_learner: MakeLearner, config: TrainConfig
) -> None:
    good = make_batch(1)
    disturbed, undisturbed = make_learner(config), make_learner(config)
    result = run_epoch(disturbed, [good, with_nan_loss(good)], epoch=0, steps_per_epoch=2)
    expected = run_epoch(undisturbed, [good], epoch=0, steps_per_epoch=2)
    assert (result.num_steps, result.bad_steps) == (2, 1)
    assert result.losses == expected.losses
    assert all(
        torch.equal(found, wanted) for found, wanted in zip(parameters(disturbed), parameters(undisturbed), strict=True)
    )


def test_training_stops_after_so_many_bad_steps_in_a_row(
    make_batch: MakeBatch, make_learner: MakeLearner, config: TrainConfig
) -> None:
    good, taken = make_batch(1), []

    def batches() -> Iterator[Batch]:
        for number, batch in enumerate([with_nan_loss(good), good, with_nan_loss(good), with_nan_loss(good), good]):
            taken.append(number)
            yield batch

    learner = make_learner(config.model_copy(update={"max_bad_steps": 2}))
    with pytest.raises(
        TrainingDivergedError,
        match=r"not finite for 2 steps in a row \(epoch 4\), last with the images of keys 1000, 1001, 1002, 1003: ",
    ):
        run_epoch(learner, batches(), epoch=3, steps_per_epoch=5)
    assert taken == [0, 1, 2, 3]


def test_an_epoch_without_a_good_step_stops_training_even_when_it_is_short(
    make_batch: MakeBatch, make_learner: MakeLearner, config: TrainConfig
) -> None:
    with pytest.raises(TrainingDivergedError, match=r"no step of epoch 1 had a finite loss \(2 steps\)"):
        run_epoch(make_learner(config), [with_nan_loss(make_batch(1))] * 2, epoch=0, steps_per_epoch=2)


def test_the_gradient_is_clipped(make_batch: MakeBatch, make_learner: MakeLearner, config: TrainConfig) -> None:
    learner = make_learner(config.model_copy(update={"gradient_norm": 1e-3}))
    result = run_epoch(learner, [make_batch(1)], epoch=0, steps_per_epoch=1)
    norm = torch.stack([p.grad.norm() for p in learner.model.parameters() if p.grad is not None]).norm().item()
    assert result.gradient_norm > 1e-2  # as it was
    assert norm == pytest.approx(1e-3, rel=1e-2)  # as it was used


def test_at_norm_0_the_gradient_is_measured_and_not_clipped(
    make_batch: MakeBatch, make_learner: MakeLearner, config: TrainConfig
) -> None:
    assert config.gradient_norm == 0
    learner, wide = make_learner(config), make_learner(config.changed(gradient_norm=1e6))
    results = [run_epoch(each, [make_batch(1)], epoch=0, steps_per_epoch=1) for each in (learner, wide)]
    assert results[0].gradient_norm == results[1].gradient_norm > 1e-2
    for found, expected in zip(learner.model.parameters(), wide.model.parameters(), strict=True):
        assert found.grad is expected.grad is None or torch.equal(found.grad, expected.grad)  # type: ignore[arg-type]


def test_the_backbone_follows_the_plan_at_its_own_rate(
    make_batch: MakeBatch, make_learner: MakeLearner, config: TrainConfig
) -> None:
    learner = make_learner(config.changed(backbone_factor=0.3, class_factor=2.0), backbone="resnet18")
    result = run_epoch(learner, [make_batch(1, size=64)], epoch=0, steps_per_epoch=1)
    assert [group["lr"] for group in learner.optimizer.param_groups] == pytest.approx([1e-3, 3e-4, 2e-3])
    assert result.learning_rate == pytest.approx(1e-3)


def test_body_and_branch_follow_the_plan_each_at_its_own_rate(
    make_batch: MakeBatch, make_learner: MakeLearner, config: TrainConfig
) -> None:
    plan = config.model_copy(
        update={"plan": "step", "decay_every_epochs": 2, "decay_factor": 0.5, "class_factor": 10.0}
    )
    learner = make_learner(plan)
    result = run_epoch(learner, [make_batch(1)], epoch=3, steps_per_epoch=1)
    assert [group["lr"] for group in learner.optimizer.param_groups] == pytest.approx([5e-4, 5e-3])
    assert result.learning_rate == pytest.approx(5e-4)


def test_a_branch_at_factor_0_stays_as_it_was_while_the_body_learns(
    make_batch: MakeBatch, make_learner: MakeLearner, config: TrainConfig
) -> None:
    learner = make_learner(config.model_copy(update={"class_factor": 0.0}))
    before = {name: value.clone() for name, value in learner.model.named_parameters()}
    result = run_epoch(learner, [make_batch(1)], epoch=0, steps_per_epoch=1)
    moved = {name for name, value in learner.model.named_parameters() if not torch.equal(value, before[name])}
    branch = ("backbone.incre_modules.", "backbone.downsamp_modules.", "backbone.final_layer.", "backbone.classifier.")
    assert moved
    assert not [name for name in moved if name.startswith(branch)]
    assert result.losses["class_strong"] == 0


def test_the_moving_average_goes_a_tenth_of_the_way(
    make_batch: MakeBatch, make_learner: MakeLearner, config: TrainConfig
) -> None:
    learner = make_learner(config.model_copy(update={"ema_decay": 0.9}))
    assert learner.average is not None
    run_epoch(learner, [make_batch(1)], epoch=0, steps_per_epoch=2)
    first = parameters(learner)  # the average starts at the first step's weights
    run_epoch(learner, [make_batch(2)], epoch=1, steps_per_epoch=2)
    for old, new, averaged in zip(first, parameters(learner), learner.average.module.parameters(), strict=True):
        torch.testing.assert_close(averaged, 0.9 * old + 0.1 * new)
    for found, wanted in zip(learner.average.module.buffers(), learner.model.buffers(), strict=True):
        assert torch.equal(found, wanted)  # running means are averages already


def test_bf16_steps_are_finite_and_keep_the_weights_in_float32(
    make_batch: MakeBatch, make_learner: MakeLearner, config: TrainConfig
) -> None:
    learner = make_learner(config.model_copy(update={"precision": "bf16"}))
    result = run_epoch(learner, [make_batch(1)], epoch=0, steps_per_epoch=1)
    assert result.bad_steps == 0
    assert {parameter.dtype for parameter in learner.model.parameters()} == {torch.float32}


def conv(*, groups: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(8, 8, 3, groups=groups), nn.BatchNorm2d(8))


def test_precision_is_taken_by_name() -> None:
    cpu, depthwise = torch.device("cpu"), conv(groups=8)
    assert resolve_precision("fp32", cpu, trained=depthwise) is torch.float32
    assert resolve_precision("bf16", cpu, trained=depthwise) is torch.bfloat16


@pytest.mark.parametrize("capability", ["amx_bf16", "avx512_bf16"])
def test_auto_takes_bf16_on_cpus_that_multiply_it_but_not_to_train_depthwise_convolutions(
    capability: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = torch.device("cpu")
    for able, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda able=able: {capability: able})
        assert [resolve_precision("auto", cpu, trained=conv(groups=count)) for count in (1, 2)] == [expected] * 2
        assert resolve_precision("auto", cpu, trained=conv(groups=8)) is torch.float32
        assert resolve_precision("auto", cpu) is expected
