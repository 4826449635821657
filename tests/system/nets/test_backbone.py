from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch

from system.errors import UserError
from system.nets import NetConfig
from system.nets.backbone import has_depthwise, make_hrnet, make_pyramid

NAME = "hrnet_w18_small"


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.mark,)


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, torch.Tensor], Path]:
    """Return weights as they are published (three channels, 1000 classes), and their file."""
    torch.manual_seed(3)
    state = timm.create_model(NAME, in_chans=3, num_classes=1000).state_dict()
    path = tmp_path_factory.mktemp("weights") / "imagenet.pth"
    torch.save(state, path)
    return state, path


def test_weights_of_a_local_file_are_in_every_layer_but_the_classifier(
    imagenet: tuple[dict[str, torch.Tensor], Path],
) -> None:
    given, path = imagenet
    made = make_hrnet(NAME, pretrained=True, weights=str(path)).state_dict()
    # gray = three equal colours
    torch.testing.assert_close(made["conv1.weight"], given["conv1.weight"].sum(dim=1, keepdim=True))
    same = [name for name in given if not name.startswith(("conv1.", "classifier."))]
    assert all(torch.equal(made[name], given[name]) for name in same)
    for part in ("stage4.", "incre_modules.", "downsamp_modules.", "final_layer."):
        assert any(name.startswith(part) for name in same)
    assert made["classifier.weight"].shape == (2, given["classifier.weight"].shape[1])


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"net\.weights: no file at .*absent\.pth.*set net\.pretrained to false"):
        make_hrnet(NAME, pretrained=True, weights=str(tmp_path / "absent.pth"))


def test_no_file_is_needed_when_the_start_is_random(tmp_path: Path) -> None:
    assert make_hrnet(NAME, pretrained=False, weights=str(tmp_path / "absent.pth")).state_dict()


def test_a_file_of_another_network_is_refused_instead_of_starting_from_random_weights(
    imagenet: tuple[dict[str, torch.Tensor], Path], tmp_path: Path
) -> None:
    partial = {name: value for name, value in imagenet[0].items() if not name.startswith("stage3.")}
    torch.save(partial, tmp_path / "partial.pth")
    with pytest.raises(UserError, match=r"net\.weights: the file lacks \d+ tensors of hrnet_w18_small, first stage3\."):
        make_hrnet(NAME, pretrained=True, weights=str(tmp_path / "partial.pth"))


def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("not found, please log in")
    with pytest.raises(UserError, match=r"net\.pretrained: the weights of hrnet_w18_small could not be loaded"):
        make_hrnet(NAME, pretrained=True, weights=str(tmp_path / "text.pth"))


def test_a_pickle_in_the_file_is_not_run(tmp_path: Path) -> None:
    torch.save({"conv1.weight": Trap(tmp_path / "mark")}, tmp_path / "trap.pth")
    with pytest.raises(UserError, match="could not be loaded"):
        make_hrnet(NAME, pretrained=True, weights=str(tmp_path / "trap.pth"))
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("weights", ["", "hf-hub:nobody/nothing"])
def test_offline_without_weights_the_error_names_both_remedies(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        UserError,
        match=r"could not be loaded \(.*give a local file in net\.weights, or set net\.pretrained to false",
    ):
        make_hrnet(NAME, pretrained=True, weights=weights)


@pytest.mark.parametrize("name", ["resnet50", "hrnet_w99", ""])
def test_a_backbone_that_is_no_hrnet_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(
        UserError, match=rf"net\.backbone: '{name}' is no HRNet; choose one of .*hrnet_w18_small.*hrnet_w48"
    ):
        make_hrnet(name, pretrained=False, weights="")


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "convnext_atto"])
def test_a_pyramid_has_maps_at_four_strides(name: str) -> None:
    model, channels = make_pyramid(name, pretrained=False, weights="")
    maps = model(torch.rand(1, 1, 64, 96))
    assert [tuple(found.shape) for found in maps] == [
        (1, width, 64 // s, 96 // s) for width, s in zip(channels, (4, 8, 16, 32), strict=True)
    ]


def test_weights_of_a_local_file_are_in_the_whole_pyramid(tmp_path: Path) -> None:
    torch.manual_seed(3)
    given = timm.create_model("resnet18", in_chans=3, num_classes=1000).state_dict()
    torch.save(given, tmp_path / "resnet.pth")
    made = make_pyramid("resnet18", pretrained=True, weights=str(tmp_path / "resnet.pth"))[0].state_dict()
    assert {name for name in given if name not in made} == {"fc.weight", "fc.bias"}
    assert all(torch.equal(made[name], given[name]) for name in made if name != "conv1.weight")
    partial = {name: value for name, value in given.items() if not name.startswith("layer2.")}
    torch.save(partial, tmp_path / "partial.pth")
    with pytest.raises(UserError, match=r"net\.weights: the file lacks \d+ tensors of resnet18, first layer2\."):
        make_pyramid("resnet18", pretrained=True, weights=str(tmp_path / "partial.pth"))


def test_a_name_that_timm_does_not_have_is_refused_with_similar_ones() -> None:
    with pytest.raises(UserError, match=r"net\.backbone: timm has no model 'resnet_50'; near to it: .*resnet50"):
        make_pyramid("resnet_50", pretrained=False, weights="")


def test_a_model_without_a_pyramid_is_refused() -> None:
    with pytest.raises(
        UserError,
        match=r"net\.backbone: vit_tiny_patch16_224 has no maps at strides \(4, 8, 16, 32\); choose a ResNet",
    ):
        make_pyramid("vit_tiny_patch16_224", pretrained=False, weights="")


@pytest.mark.parametrize(("name", "expected"), [("tf_efficientnet_lite0", True), ("resnet18", False)])
def test_depthwise_convolutions_are_recognised(name: str, expected: bool) -> None:
    assert has_depthwise(make_pyramid(name, pretrained=False, weights="")[0]) is expected


def test_a_local_file_of_weights_is_named_by_its_full_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert NetConfig(weights="weights.safetensors").located().weights == str(tmp_path / "weights.safetensors")
    for elsewhere in ("", "hf-hub:timm/hrnet_w18.ms_in1k"):
        assert NetConfig(weights=elsewhere).located().weights == elsewhere
    assert NetConfig(weights="absent.safetensors", pretrained=False).located().weights == "absent.safetensors"
    with pytest.raises(UserError, match=r"net\.weights: no file at 'absent\.safetensors'"):
        NetConfig(weights="absent.safetensors").located()
