from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from system.methods import Batch
from system.nets import ModelCard, read_weights, write_model
from system.training.checkpoint import TrainingPosition, read_training_state, write_training_state
from system.training.config import TrainConfig
from system.training.epoch import Learner, run_epoch
from system.training.tally import Tally

MakeBatch = Callable[..., Batch]
MakeLearner = Callable[..., Learner]
CARD = ModelCard("btv", {}, 32, 32, classifies=True)
STEPS = 2


def train(learner: Learner, make_batch: MakeBatch, *, epoch: int) -> None:
    run_epoch(learner, [make_batch(10 * epoch + step) for step in range(STEPS)], epoch=epoch, steps_per_epoch=STEPS)


def save(learner: Learner, folder: Path, position: TrainingPosition) -> None:
    """Write a checkpoint as pipelines.workers.train_loop does."""
    raw = learner.model.state_dict()
    write_model(folder, learner.average.module.state_dict() if learner.average is not None else raw, CARD)
    write_training_state(folder, raw=raw, optimizer=learner.optimizer, position=position)


def load(learner: Learner, folder: Path) -> TrainingPosition:
    """Load a checkpoint as pipelines.workers.train_loop does."""
    raw, position = read_training_state(folder, learner.optimizer)
    learner.model.load_state_dict(raw)
    if learner.average is not None:
        learner.average.module.load_state_dict(read_weights(folder))
        learner.average.n_averaged.fill_(position.step - position.bad_steps)
    return position


def assert_equal(found: torch.nn.Module, expected: torch.nn.Module) -> None:
    wanted = expected.state_dict()
    different = [name for name, value in found.state_dict().items() if not torch.equal(value, wanted[name])]
    assert different == []


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_resumed_training_ends_with_the_undisturbed_ones_weights_bit_by_bit(
    make_batch: MakeBatch, make_learner: MakeLearner, ema_decay: float, tmp_path: Path
) -> None:
    config = TrainConfig(
        num_epochs=2, decay_every_epochs=1, learning_rate=1e-3, class_factor=10.0, precision="fp32", ema_decay=ema_decay
    )
    undisturbed = make_learner(config)
    train(undisturbed, make_batch, epoch=0)
    save(undisturbed, tmp_path, TrainingPosition(epoch=1, step=STEPS, bad_steps=0))
    train(undisturbed, make_batch, epoch=1)

    resumed = make_learner(config, weights_seed=99)
    position = load(resumed, tmp_path)
    assert position == TrainingPosition(epoch=1, step=STEPS, bad_steps=0)
    train(resumed, make_batch, epoch=position.epoch)

    assert_equal(resumed.model, undisturbed.model)
    if undisturbed.average is not None:
        assert resumed.average is not None
        assert_equal(resumed.average, undisturbed.average)
        assert any(
            not torch.equal(a, b)
            for a, b in zip(resumed.average.module.parameters(), resumed.model.parameters(), strict=True)
        )


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_training_resumed_in_mid_epoch_ends_with_the_undisturbed_ones_weights_and_losses(
    make_batch: MakeBatch, make_learner: MakeLearner, ema_decay: float, tmp_path: Path
) -> None:
    config = TrainConfig(
        num_epochs=1, warmup_steps=3, learning_rate=1e-3, class_factor=10.0, precision="fp32", ema_decay=ema_decay
    )
    batches, kept_after = [make_batch(step) for step in range(5)], 2
    undisturbed = make_learner(config)

    def keep(tally: Tally) -> None:
        if tally.steps == kept_after:
            save(undisturbed, tmp_path, TrainingPosition(0, 0, 0).in_epoch(tally))

    expected = run_epoch(undisturbed, batches, epoch=0, steps_per_epoch=5, after_step=keep)

    resumed = make_learner(config, weights_seed=99)
    position = load(resumed, tmp_path)
    assert (position.epoch, position.step, position.steps_in_epoch) == (0, kept_after, kept_after)
    found = run_epoch(resumed, batches[kept_after:], epoch=0, steps_per_epoch=5, tally=position.tally)

    assert_equal(resumed.model, undisturbed.model)
    if undisturbed.average is not None:
        assert resumed.average is not None
        assert_equal(resumed.average, undisturbed.average)
    assert (found.losses, found.gradient_norm, found.num_steps) == (expected.losses, expected.gradient_norm, 5)


def test_nothing_in_a_checkpoint_is_pickled(make_batch: MakeBatch, make_learner: MakeLearner, tmp_path: Path) -> None:
    learner = make_learner(TrainConfig(num_epochs=1, precision="fp32"))
    train(learner, make_batch, epoch=0)
    save(learner, tmp_path, TrainingPosition(epoch=1, step=STEPS, bad_steps=0))
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}
    for path in tmp_path.glob("*.safetensors"):
        header = int.from_bytes(path.read_bytes()[:8], "little")  # the format: length of a JSON header, header, numbers
        assert path.read_bytes()[8:9] == b"{"
        assert header < path.stat().st_size
