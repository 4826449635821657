import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from system.imaging import encode_png
from system.training.dataset import SampleReader, group_sizes, make_loader, to_batch
from system.training.samples import SampleIndex, SampleRole

SIZE = 16
CPU = torch.device("cpu")
MAP = (np.arange(16, dtype=np.uint8) * 17).reshape(4, 4)  # 0, 17 … 255: all multiples of 1/15
ROLES = (SampleRole.STRONG_MASS, SampleRole.STRONG_FREE, SampleRole.TP, SampleRole.FP, SampleRole.FN)
ROW = {role: row for row, role in enumerate(ROLES)}


def pixels(sha: str) -> np.ndarray:
    """Stand for the pixel store: a view of one brightness each, and a mask of the upper left 8 x 6 pixels."""
    if sha == "mask":
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[:8, :6] = 1
        return mask
    return np.full((SIZE, SIZE), int(sha), np.uint16)


def index_of(map_png: bytes | None = None, *, count: int = len(ROLES)) -> SampleIndex:
    roles = [ROLES[row % len(ROLES)] for row in range(count)]
    p_mass = {SampleRole.STRONG_MASS: 1, SampleRole.TP: 0.97, SampleRole.FP: 0.02, SampleRole.FN: 0.96}
    return SampleIndex(
        image_key=np.arange(count),
        role=np.array(roles, np.uint8),
        p_mass=np.array([p_mass.get(role, 0) for role in roles], np.float32),
        pixel_sha=[str(100 + row) for row in range(count)],
        auxiliary_sha=["" if row == 1 else str(200 + row) for row in range(count)],
        mask_sha=["mask" if role is SampleRole.STRONG_MASS else "" for role in roles],
        map_png=[(map_png or encode_png(MAP)) if role is SampleRole.TP else None for role in roles],
    )


@pytest.mark.parametrize(
    ("role", "is_strong", "has_mask", "p_mass"),
    [
        (SampleRole.STRONG_MASS, True, True, 1.0),
        (SampleRole.STRONG_FREE, True, True, 0.0),
        (SampleRole.TP, False, True, 0.97),
        (SampleRole.FP, False, False, 0.02),
        (SampleRole.FN, False, False, 0.96),
    ],
)
def test_each_role_trains_what_the_paper_asks_for(
    role: SampleRole, is_strong: bool, has_mask: bool, p_mass: float
) -> None:
    sample = SampleReader(index_of(), pixels, cache_images=0)[ROW[role]]
    assert (sample["is_strong"], sample["has_mask"]) == (is_strong, has_mask)
    assert sample["p_mass"] == pytest.approx(p_mass)


def test_with_empty_masks_fp_train_the_mask_too_and_count_in_the_weak_mask_term() -> None:
    index = replace(index_of(), empty_masks=True)
    samples = [
        SampleReader(index, pixels, cache_images=0)[ROW[role]] for role in (SampleRole.TP, SampleRole.FP, SampleRole.FN)
    ]
    assert [sample["has_mask"] for sample in samples] == [True, True, False]
    assert not samples[1]["mask"].any()
    batch = np.array([ROW[role] for role in SampleRole])
    assert group_sizes(index, batch, num_workers=1)["mask_weak"] == 2
    assert group_sizes(index_of(), batch, num_workers=1)["mask_weak"] == 1


def test_masks_come_from_truth_for_strong_samples_and_from_the_map_for_tp() -> None:
    dataset = SampleReader(index_of(), pixels, cache_images=0)
    np.testing.assert_array_equal(
        dataset[ROW[SampleRole.STRONG_MASS]]["mask"], [[1, 0.5, 0, 0], [1, 0.5, 0, 0], [0] * 4, [0] * 4]
    )
    np.testing.assert_allclose(dataset[ROW[SampleRole.TP]]["mask"], np.arange(16).reshape(4, 4) / 15, rtol=1e-6)
    for role in (SampleRole.STRONG_FREE, SampleRole.FP, SampleRole.FN):
        assert not dataset[ROW[role]]["mask"].any()
        assert dataset[ROW[role]]["mask"].shape == (4, 4)


def test_a_map_kept_in_16_bits_means_the_same_as_one_in_8() -> None:
    deep = encode_png(MAP.astype(np.uint16) * 257)
    sample = SampleReader(index_of(deep), pixels, cache_images=0)[ROW[SampleRole.TP]]
    np.testing.assert_allclose(sample["mask"], MAP / 255, rtol=1e-6)


def test_the_other_breast_is_read_and_a_missing_one_is_zeros() -> None:
    dataset = SampleReader(index_of(), pixels, cache_images=0)
    assert (dataset[0]["main"] == 100).all()
    assert (dataset[0]["auxiliary"] == 200).all()
    assert not dataset[1]["auxiliary"].any()
    assert dataset[1]["auxiliary"].shape == (SIZE, SIZE)


def test_a_kept_view_is_read_once() -> None:
    read_shas: list[str] = []

    def read(sha: str) -> np.ndarray:
        read_shas.append(sha)
        return pixels(sha)

    dataset = SampleReader(index_of(), read, cache_images=8)
    for _ in range(3):
        dataset[1]
    assert read_shas == ["101"]


@pytest.mark.parametrize("cache_images", [0, 8])
def test_the_dataset_can_go_to_a_loaders_process(cache_images: int) -> None:
    dataset = SampleReader(index_of(), pixels, cache_images=cache_images)
    dataset[0]
    arrived = pickle.loads(pickle.dumps(dataset))
    assert len(arrived) == len(dataset)
    np.testing.assert_array_equal(arrived[2]["main"], dataset[2]["main"])


def test_a_loader_gives_the_batches_in_their_order() -> None:
    dataset = SampleReader(index_of(count=10), pixels, cache_images=0)
    batches = [np.array([3, 0]), np.array([9, 9]), np.array([1, 4])]
    found = [stacked["main"][:, 0, 0].tolist() for stacked in make_loader(dataset, batches, num_workers=0)]
    assert found == [[103, 100], [109, 109], [101, 104]]


@pytest.mark.slow
@pytest.mark.parametrize("cache_images", [0, 8])
def test_a_loader_with_a_process_of_its_own_gives_the_same(cache_images: int) -> None:
    batches = [np.array([3, 0]), np.array([2, 1])]
    dataset = SampleReader(index_of(), pixels, cache_images=cache_images)
    alone, beside = (list(make_loader(dataset, batches, num_workers=number)) for number in (0, 1))
    assert len(alone) == len(beside) == 2
    for first, second in zip(alone, beside, strict=True):
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_batch_is_scaled_to_0_and_1_and_keeps_its_targets() -> None:
    index = replace(index_of(), pixel_sha=["65535", "0", "13107", "1", "2"])
    stacked = next(iter(make_loader(SampleReader(index, pixels, cache_images=0), [np.arange(5)], num_workers=0)))
    sizes = {"mask_strong": 2.0}
    batch = to_batch(
        stacked,
        group_sizes=sizes,
        seeds=np.arange(len(stacked["main"])),
        image_keys=np.arange(len(stacked["main"])),
        device=CPU,
    )
    assert batch.main.shape == batch.auxiliary.shape == (5, 1, SIZE, SIZE)
    assert batch.main.dtype == torch.float32
    torch.testing.assert_close(batch.main[:3, 0, 0, 0], torch.tensor([1.0, 0.0, 0.2]))
    assert batch.targets.mask.shape == (5, 1, 4, 4)
    assert batch.targets.is_strong.tolist() == [True, True, False, False, False]
    assert batch.targets.has_mask.tolist() == [True, True, True, False, False]
    torch.testing.assert_close(batch.targets.p_mass, torch.tensor([1.0, 0.0, 0.97, 0.02, 0.96]))
    assert batch.targets.group_sizes == sizes


@pytest.mark.parametrize("num_workers", [1, 2])
def test_group_sizes_count_the_whole_batch_and_are_divided_by_the_workers(num_workers: int) -> None:
    index = index_of(count=10)
    batch = np.array([0, 0, 1, 2, 5, 3, 4, 8])  # mass three times, free once, TP, FP twice, FN
    found = group_sizes(index, batch, num_workers=num_workers)
    whole = {"mask_strong": 4, "class_strong": 4, "mask_weak": 1, "class_weak": 4}
    assert found == {name: size / num_workers for name, size in whole.items()}
