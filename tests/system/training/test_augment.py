import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from system.losses import Targets
from system.methods import Batch
from system.training.augment import augment
from system.training.config import AugmentConfig

HEIGHT, WIDTH = 48, 32
GEOMETRY = AugmentConfig(shift=0.05, noise_sd=0, gain=0)
STILL = AugmentConfig(flip_horizontal=0, flip_vertical=0, rotation_deg=0, scale=0, noise_sd=0)
CERTAIN_FLIP = AugmentConfig(flip_horizontal=1, flip_vertical=1, rotation_deg=0, scale=0, shift=0, noise_sd=0, gain=0)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch_of(main: Tensor, auxiliary: Tensor, mask: Tensor) -> Batch:
    chosen = torch.ones(len(main), dtype=torch.bool)
    targets = Targets(mask, chosen.float(), chosen, chosen, {"mask_strong": float(len(main))})
    return Batch(main, auxiliary, targets, torch.zeros(len(main), dtype=torch.int64), torch.arange(len(main)))


def changed_by(batch: Batch, *, config: AugmentConfig, seed: int) -> Batch:
    return augment(replace(batch, seeds=torch.arange(len(batch.main)) + 1000 * seed), config=config)


def picture(*, count: int = 6) -> Tensor:
    return torch.rand((count, 1, HEIGHT, WIDTH), generator=generator(9)) * 0.6 + 0.1


def blob(*, row: float, col: float, radius: float, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> Tensor:
    rows, cols = torch.meshgrid(torch.arange(shape[0]) + 0.5, torch.arange(shape[1]) + 0.5, indexing="ij")
    return torch.exp(-((rows - row) ** 2 + (cols - col) ** 2) / (2 * radius**2))[None, None]


def centre(image: Tensor, *, stride: int) -> tuple[float, float]:
    """Return row and column of a picture's centre of light, px of the view. image: [1, H, W] or [1, h, w]."""
    light = image[0] / image.sum()
    found = [
        (light.sum(other) * (torch.arange(light.shape[1 - other]) + 0.5)).sum().item() * stride for other in (1, 0)
    ]
    return found[0], found[1]


def spread(image: Tensor) -> tuple[float, float]:
    """Return the variance of a picture's light along rows and along columns, px²."""
    rows, cols = torch.meshgrid(torch.arange(float(HEIGHT)), torch.arange(float(WIDTH)), indexing="ij")
    light = image[0, 0] / image.sum()
    variances = [((axis - (light * axis).sum()) ** 2 * light).sum().item() for axis in (rows, cols)]
    return variances[0], variances[1]


def test_main_auxiliary_and_mask_take_the_same_change() -> None:
    same = picture()
    changed = changed_by(batch_of(same, same.clone(), same.clone()), config=GEOMETRY, seed=1)
    torch.testing.assert_close(changed.main, changed.auxiliary)
    torch.testing.assert_close(changed.main, changed.targets.mask)
    assert all((changed.main[i] - same[i]).abs().max() > 0.05 for i in range(len(same)))


def test_a_mask_at_stride_4_stays_on_the_mass_it_outlines() -> None:
    wanted = GEOMETRY.model_copy(update={"rotation_deg": 40.0, "shift": 0.03, "scale": 0.2})
    main = blob(row=20, col=12, radius=2.5).repeat(8, 1, 1, 1)
    mask = torch.nn.functional.avg_pool2d(main, 4)
    changed = changed_by(batch_of(main, main, mask), config=wanted, seed=2)
    for image, outline in zip(changed.main, changed.targets.mask, strict=True):
        # px; interpolated at stride 4 instead of 1
        assert centre(outline, stride=4) == pytest.approx(centre(image, stride=1), abs=0.2)
        assert centre(image, stride=1) != pytest.approx((20, 12), abs=0.5)


def test_a_certain_flip_turns_both_axes_exactly() -> None:
    main, auxiliary = picture(), picture().flip(0)
    mask = torch.rand((6, 1, HEIGHT // 4, WIDTH // 4), generator=generator(3))
    changed = changed_by(batch_of(main, auxiliary, mask), config=CERTAIN_FLIP, seed=1)
    for found, before in ((changed.main, main), (changed.auxiliary, auxiliary), (changed.targets.mask, mask)):
        torch.testing.assert_close(found, before.flip(2, 3), atol=1e-5, rtol=1e-5)


def test_half_of_the_flips_happen_and_rows_and_columns_flip_apart() -> None:
    main = blob(row=10, col=6, radius=2).repeat(400, 1, 1, 1)
    changed = changed_by(
        batch_of(main, main, main),
        config=CERTAIN_FLIP.model_copy(update={"flip_horizontal": 0.5, "flip_vertical": 0.5}),
        seed=4,
    ).main
    down, right = changed[:, 0, 24:].sum((1, 2)) > 1, changed[:, 0, :, 16:].sum((1, 2)) > 1
    shares = [(first & second).float().mean().item() for first in (down, ~down) for second in (right, ~right)]
    assert shares == pytest.approx([0.25] * 4, abs=0.06)


def test_turning_keeps_a_round_mass_round_on_a_picture_that_is_not_square() -> None:
    main = blob(row=HEIGHT / 2, col=WIDTH / 2, radius=3).repeat(20, 1, 1, 1)
    config = CERTAIN_FLIP.model_copy(update={"flip_horizontal": 0, "flip_vertical": 0, "rotation_deg": 90.0})
    changed = changed_by(batch_of(main, main, main), config=config, seed=5).main
    for image in changed:
        assert spread(image[None]) == pytest.approx((9, 9), rel=0.08)  # bilinear reading blurs a little


def test_turning_moves_a_mass_along_a_circle() -> None:
    main = blob(row=HEIGHT / 2 - 10, col=WIDTH / 2, radius=1.5).repeat(20, 1, 1, 1)
    config = CERTAIN_FLIP.model_copy(update={"flip_horizontal": 0, "flip_vertical": 0, "rotation_deg": 90.0})
    changed = changed_by(batch_of(main, main, main), config=config, seed=5).main[:, 0]
    light = changed / changed.sum((1, 2), keepdim=True)
    rows = (light.sum(2) * (torch.arange(HEIGHT) + 0.5 - HEIGHT / 2)).sum(1)
    cols = (light.sum(1) * (torch.arange(WIDTH) + 0.5 - WIDTH / 2)).sum(1)
    torch.testing.assert_close(torch.hypot(rows, cols), torch.full((20,), 10.0), atol=0.15, rtol=0)
    assert cols.abs().max() > 5


def test_a_missing_auxiliary_stays_zero_and_so_does_air() -> None:
    main, auxiliary = picture(), torch.zeros(6, 1, HEIGHT, WIDTH)
    main[:, :, :, 20:] = 0
    still_but_noisy = AugmentConfig(flip_horizontal=0, flip_vertical=0, rotation_deg=0, scale=0, shift=0, noise_sd=0.2)
    changed = changed_by(batch_of(main, auxiliary, main), config=still_but_noisy, seed=6)
    assert not changed.auxiliary.any()
    assert not changed.main[:, :, :, 20:].any()
    assert (changed.main - main).abs().max() > 0.05


def test_everything_stays_between_0_and_1() -> None:
    main = torch.ones(6, 1, HEIGHT, WIDTH)
    changed = changed_by(batch_of(main, main, main), config=AugmentConfig(noise_sd=0.3, gain=0.5), seed=7)
    for image in (changed.main, changed.auxiliary, changed.targets.mask):
        assert image.min() >= 0
        assert image.max() <= 1


def test_noise_and_gain_never_touch_the_mask() -> None:
    loud = AugmentConfig(flip_horizontal=0, flip_vertical=0, rotation_deg=0, scale=0, shift=0, noise_sd=0.3, gain=0.5)
    mask = torch.rand((6, 1, HEIGHT // 4, WIDTH // 4), generator=generator(3))
    changed = changed_by(batch_of(picture(), picture(), mask), config=loud, seed=8)
    torch.testing.assert_close(changed.targets.mask, mask, atol=1e-5, rtol=1e-5)


def test_the_same_seed_gives_the_same_batch_and_another_seed_another() -> None:
    batch = batch_of(picture(), picture(), picture())
    first, again, other = (changed_by(batch, config=AugmentConfig(), seed=seed) for seed in (1, 1, 2))
    for name in ("main", "auxiliary"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))
    assert torch.equal(first.targets.mask, again.targets.mask)


def test_the_batch_that_was_given_stays_as_it_was() -> None:
    main = picture()
    batch = batch_of(main, main.clone(), main.clone())
    changed_by(batch, config=AugmentConfig(), seed=1)
    assert torch.equal(batch.main, picture())
    assert torch.equal(batch.targets.mask, picture())


def test_a_sample_is_changed_alike_whatever_batch_it_is_in() -> None:
    batch = replace(batch_of(picture(), picture(), picture()), seeds=torch.tensor([5, 6, 7, 8, 9, 10]))
    whole = augment(batch, config=AugmentConfig())
    for first, part in enumerate(batch.parts(2)):
        alone = augment(part, config=AugmentConfig())
        torch.testing.assert_close(alone.main, whole.main[first::3])
        torch.testing.assert_close(alone.targets.mask, whole.targets.mask[first::3])


@pytest.mark.parametrize(("which", "axis"), [("flip_horizontal", 3), ("flip_vertical", 2)])
def test_each_flip_has_a_probability_of_its_own(which: str, axis: int) -> None:
    only = CERTAIN_FLIP.changed(flip_horizontal=0, flip_vertical=0).changed(**{which: 1})
    changed = changed_by(batch_of(picture(), picture(), picture()), config=only, seed=1)
    torch.testing.assert_close(changed.main, picture().flip(axis), atol=1e-5, rtol=1e-5)


def test_gamma_bends_both_breasts_alike_within_its_range_and_never_the_mask() -> None:
    flat = torch.full((400, 1, 4, 4), 0.3)
    bent = STILL.changed(gamma=0.5)
    changed = changed_by(batch_of(flat, flat, flat), config=bent, seed=3)
    exponent = changed.main[:, 0, 1, 1].log() / math.log(0.3)
    assert exponent.log().abs().max() <= math.log(1.5) + 1e-5
    assert exponent.log().mean().item() == pytest.approx(0, abs=0.03)  # as often darker as brighter
    assert exponent.log().std().item() == pytest.approx(math.log(1.5) / math.sqrt(3), rel=0.1)  # drawn evenly
    assert torch.equal(changed.main, changed.auxiliary)
    torch.testing.assert_close(changed.targets.mask, flat)


def test_gamma_keeps_air_black_and_white_white() -> None:
    main = picture()
    main[:, :, :10], main[:, :, 20:30] = 0, 1
    changed = changed_by(batch_of(main, torch.zeros_like(main), main), config=STILL.changed(gamma=0.5), seed=3)
    assert not changed.main[:, :, 1:9].any()
    assert torch.equal(changed.main[:, :, 21:29, 1:-1], torch.ones_like(changed.main[:, :, 21:29, 1:-1]))
    assert not changed.auxiliary.any()


def test_the_draws_of_a_seed_stay_those_of_earlier_versions() -> None:
    """Sums worked out with the version before gamma: a new kind of draw must come after the old ones."""
    batch = batch_of(picture(), picture(), picture())
    changed = changed_by(batch, config=AugmentConfig(shift=0.05, gain=0.1), seed=1)
    found = [image.double().sum().item() for image in changed.main]
    assert found == pytest.approx([562.05, 561.3, 473.44, 591.66, 515.5, 617.58], abs=0.01)


def test_by_default_the_changes_are_those_of_the_paper() -> None:
    config = AugmentConfig()
    assert (config.shift, config.gain, config.gamma) == (0, 0, 0)
    assert min(config.flip_horizontal, config.flip_vertical, config.rotation_deg, config.scale, config.noise_sd) > 0
