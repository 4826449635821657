"""Weights under other names: what is matched, and what is refused."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from skimage import data
from torch import Tensor

from system.errors import UserError
from system.nets.convert import classes_in, input_of, read_state, renamed

SMALL = "test_resnet"  # of timm, half a million weights, 1000 classes
COFFEE = Path(data.__file__).parent / "coffee.png"


@pytest.fixture(scope="module")
def theirs() -> dict[str, Tensor]:
    """Return the weights of a network as another program names them."""
    torch.manual_seed(3)
    state = timm.create_model(SMALL).state_dict()
    return {f"_part{i}.{name.rpartition('.')[2]}": value for i, (name, value) in enumerate(state.items())}


def test_tensors_get_timms_names_in_order(theirs: dict[str, Tensor]) -> None:
    found = renamed(theirs, backbone=SMALL)
    assert list(found) == list(timm.create_model(SMALL).state_dict())
    assert all(one is other for one, other in zip(found.values(), theirs.values(), strict=True))


def test_tensors_that_have_timms_names_are_matched_by_these(theirs: dict[str, Tensor]) -> None:
    named = renamed(theirs, backbone=SMALL)
    found = renamed(dict(reversed(named.items())), backbone=SMALL)
    assert all(found[name] is value for name, value in named.items())


def test_another_number_of_tensors_is_refused(theirs: dict[str, Tensor]) -> None:
    fewer = dict(list(theirs.items())[:-1])
    with pytest.raises(
        UserError, match=rf"holds {len(fewer)} tensors, {SMALL} of timm has {len(theirs)}: give weights"
    ):
        renamed(fewer, backbone=SMALL)


def test_the_first_tensor_of_another_shape_is_named(theirs: dict[str, Tensor]) -> None:
    names = list(theirs)
    wrong = theirs | {name: torch.zeros(2, 2) for name in (names[7], names[12])}
    with pytest.raises(
        UserError, match=rf"tensor {names[7]} \[2, 2\] does not fit .* of {SMALL}: give weights of this"
    ):
        renamed(wrong, backbone=SMALL)


def test_a_weight_in_the_place_of_a_bias_of_the_same_shape_is_refused(theirs: dict[str, Tensor]) -> None:
    names = list(theirs)
    at = next(i for i, name in enumerate(names) if name.endswith(".bias") and theirs[name].ndim == 1)
    assert theirs[names[at - 1]].shape == theirs[names[at]].shape
    names[at - 1], names[at] = names[at], names[at - 1]
    with pytest.raises(UserError, match=rf"tensor {names[at - 1]} .* does not fit"):
        renamed({name: theirs[name] for name in names}, backbone=SMALL)


def test_a_network_that_timm_does_not_have_is_refused() -> None:
    with pytest.raises(UserError, match="--backbone: timm has no model 'lite0'"):
        renamed({}, backbone="lite0")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_file_is_read_in_either_format(name: str, theirs: dict[str, Tensor], tmp_path: Path) -> None:
    (save_file if name.endswith("safetensors") else torch.save)(theirs, tmp_path / name)
    found = read_state(tmp_path / name)
    assert found.keys() == theirs.keys()
    assert all(torch.equal(found[key], value) for key, value in theirs.items())


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_file_that_holds_no_weights_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("not found")
    with pytest.raises(UserError, match=rf"{name} could not be read as weights \(.*\): give a \.safetensors file"):
        read_state(tmp_path / name)


def test_a_file_with_more_than_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "weight": torch.zeros(2)}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"a\.pth holds dict, no tensors by name: save the network's state_dict"):
        read_state(tmp_path / "a.pth")


class Harmful:
    """Unpickled, it writes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.trace, "its code was run")


@pytest.mark.parametrize("depth", ["alone", "among tensors", "plain pickle"])
def test_pickled_code_in_a_file_of_weights_is_not_run(tmp_path: Path, depth: str) -> None:
    harmful = Harmful(tmp_path / "trace")
    if depth == "plain pickle":
        (tmp_path / "a.pth").write_bytes(pickle.dumps(harmful, protocol=2))
    else:
        torch.save(harmful if depth == "alone" else {"weight": torch.zeros(2), "bias": harmful}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"a\.pth could not be read as weights \(UnpicklingError\)"):
        read_state(tmp_path / "a.pth")
    assert not (tmp_path / "trace").exists()


def test_a_photograph_that_is_none_is_refused(theirs: dict[str, Tensor], tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("no picture")
    with pytest.raises(UserError, match=r"--photo photo\.jpg is no picture that can be read"):
        classes_in(tmp_path / "photo.jpg", renamed(theirs, backbone=SMALL), backbone=SMALL)


def test_classes_come_best_first_with_their_names(theirs: dict[str, Tensor]) -> None:
    state = renamed(theirs, backbone=SMALL)
    bias = next(reversed(state))
    sure = state | {bias: torch.where(torch.arange(1000) == 967, 50.0, torch.zeros(1000))}  # ImageNet's class 967
    seen = classes_in(COFFEE, sure, backbone=SMALL, count=3)
    assert seen[0].name == "espresso"
    assert seen[0].probability == pytest.approx(1, abs=1e-3)
    assert [each.probability for each in seen] == sorted((each.probability for each in seen), reverse=True)


def test_the_input_is_normalised_as_timm_says() -> None:
    assert input_of("tf_efficientnet_lite0") == (0.5, 0.5)
    assert input_of("resnet18") == pytest.approx((0.449, 0.226), abs=1e-3)
