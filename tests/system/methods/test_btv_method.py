from pathlib import Path

import pytest
import torch

from system.errors import UserError
from system.losses import LossConfig, Targets
from system.methods import METHODS, Batch
from system.nets import BilateralTwoViewNet, ModelCard, NetConfig, write_model

SIZE = 32
NET = NetConfig(backbone="hrnet_w18_small", pretrained=False)
BTV = METHODS["btv"]


@pytest.fixture
def model() -> BilateralTwoViewNet:
    torch.manual_seed(2)
    built = BTV.build(NET)
    assert isinstance(built, BilateralTwoViewNet)
    return built


def card(**changes: object) -> ModelCard:
    facts = {"method": "btv", "net": NET.model_dump(), "height_px": SIZE, "width_px": SIZE, "classifies": True}
    return ModelCard(**(facts | changes))  # type: ignore[arg-type]


def images(seed: int) -> torch.Tensor:
    return torch.rand((2, 1, SIZE, SIZE), generator=torch.Generator().manual_seed(seed))


def batch(*, strong: bool, masked: bool) -> Batch:
    chosen = torch.full((2,), strong), torch.full((2,), masked)
    sizes = {
        "mask_strong": 2.0 * (strong and masked),
        "class_strong": 2.0 * strong,
        "mask_weak": 2.0 * (masked and not strong),
        "class_weak": 2.0 * (not strong),
    }
    targets = Targets(torch.full((2, 1, SIZE // 4, SIZE // 4), 0.5), torch.tensor([1.0, 0.0]), *chosen, sizes)
    return Batch(images(1), images(2), targets, torch.arange(len(targets.p_mass)), torch.arange(len(targets.p_mass)))


def test_every_method_is_registered_under_its_own_name() -> None:
    assert all(method.name == name for name, method in METHODS.items())


@torch.no_grad()
def test_a_checkpoint_predicts_what_the_model_did(model: BilateralTwoViewNet, tmp_path: Path) -> None:
    write_model(tmp_path, model.state_dict(), card())
    loaded = BTV.load(tmp_path, "cpu")
    assert not loaded.training
    expected = BTV.predict(model.eval(), images(1), images(2))
    for found, wanted in zip(BTV.predict(loaded, images(1), images(2)), expected, strict=True):
        torch.testing.assert_close(found, wanted)


@torch.no_grad()
def test_a_prediction_has_maps_at_stride_4_and_the_probability_of_mass_of_each_side(model: BilateralTwoViewNet) -> None:
    model.eval()
    logits_left, logits_right, p_left, p_right = BTV.predict(model, images(1), images(2))
    assert logits_left.shape == logits_right.shape == (2, 1, SIZE // 4, SIZE // 4)
    scores = model(images(2), images(1)).class_logits.exp()
    torch.testing.assert_close(p_right, scores[:, 1] / scores.sum(dim=1))
    assert p_left.shape == (2,)


@torch.no_grad()
def test_an_untrained_image_level_branch_gives_nan(model: BilateralTwoViewNet, tmp_path: Path) -> None:
    write_model(tmp_path, model.state_dict(), card(classifies=False))
    _, _, p_left, p_right = BTV.predict(BTV.load(tmp_path, "cpu"), images(1), images(2))
    assert p_left.isnan().all()
    assert p_right.isnan().all()


def test_a_checkpoint_needs_no_imagenet_file(model: BilateralTwoViewNet, tmp_path: Path) -> None:
    started_from = NET.model_copy(update={"pretrained": True, "weights": str(tmp_path / "gone.pth")})
    write_model(tmp_path, model.state_dict(), card(net=started_from.model_dump()))
    loaded = BTV.load(tmp_path, "cpu").state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in model.state_dict().items())


def test_a_checkpoint_of_another_method_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "model", {}, card(method="gmic"))
    with pytest.raises(UserError, match="checkpoint model holds method 'gmic', expected 'btv'"):
        BTV.load(tmp_path / "model", "cpu")


def test_weights_that_do_not_fit_their_card_are_refused(model: BilateralTwoViewNet, tmp_path: Path) -> None:
    state = {name: value for name, value in model.state_dict().items() if name != "mask_head.classify.bias"}
    write_model(tmp_path / "model", state, card())
    with pytest.raises(UserError, match=r"checkpoint model: its weights do not fit .*mask_head\.classify\.bias"):
        BTV.load(tmp_path / "model", "cpu")


def test_body_and_branch_are_two_groups_that_hold_every_parameter_once(model: BilateralTwoViewNet) -> None:
    body, branch = BTV.parameter_groups(model, learning_rate=1e-4, class_factor=10.0)
    held = [id(parameter) for parameter in (*body["params"], *branch["params"])]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())
    assert (body["lr"], body["factor"]) == (1e-4, 1.0)
    assert (branch["lr"], branch["factor"]) == (pytest.approx(1e-3), 10.0)
    expected = [id(parameter) for module in model.classification_modules() for parameter in module.parameters()]
    assert [id(parameter) for parameter in branch["params"]] == expected


@pytest.mark.parametrize("backbone", ["hrnet_w18_small", "resnet18"])
def test_the_backbone_is_a_group_of_its_own_where_its_rate_is_another(backbone: str) -> None:
    model = BTV.build(NET.changed(backbone=backbone))
    groups = BTV.parameter_groups(model, learning_rate=1e-4, class_factor=10.0, backbone_factor=0.3)
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())
    assert [group["factor"] for group in groups] == [1.0, 0.3, 10.0]
    assert [group["lr"] for group in groups] == pytest.approx([1e-4, 3e-5, 1e-3])
    assert isinstance(model, BilateralTwoViewNet)
    expected = [id(parameter) for module in model.pretrained_modules() for parameter in module.parameters()]
    assert [id(parameter) for parameter in groups[1]["params"]] == expected


@pytest.mark.parametrize("backbone_factor", [1.0, 0.3])
def test_what_is_frozen_is_in_no_group(backbone_factor: float) -> None:
    model = BTV.build(NET.changed(backbone="resnet18", frozen_blocks=2))
    groups = BTV.parameter_groups(model, learning_rate=1e-4, class_factor=1.0, backbone_factor=backbone_factor)
    held = {id(parameter) for group in groups for parameter in group["params"]}
    assert held == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert len(held) < len(list(model.parameters()))


def test_at_factor_0_the_branch_is_frozen_and_left_out(model: BilateralTwoViewNet) -> None:
    groups = BTV.parameter_groups(model, learning_rate=1e-4, class_factor=0.0)
    frozen = {id(parameter) for module in model.classification_modules() for parameter in module.parameters()}
    assert len(groups) == 1
    assert not frozen & {id(parameter) for parameter in groups[0]["params"]}
    assert {id(parameter) for parameter in model.parameters() if not parameter.requires_grad} == frozen


@pytest.mark.parametrize("class_factor", [0.0, 10.0])
@pytest.mark.parametrize(("strong", "masked"), [(True, True), (False, True), (False, False)])
def test_every_parameter_that_learns_gets_a_gradient_from_any_batch(
    model: BilateralTwoViewNet, strong: bool, masked: bool, class_factor: float
) -> None:
    BTV.parameter_groups(model, learning_rate=1e-4, class_factor=class_factor)
    terms = BTV.losses(
        model.train(), batch(strong=strong, masked=masked), config=LossConfig(), classify=class_factor > 0
    )
    terms.total.backward()
    left_out = [
        name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None
    ]
    assert left_out == []


def body_gradients(model: BilateralTwoViewNet, *, class_gradient: float) -> list[torch.Tensor]:
    """Return the gradients of the image-level term of a weak batch without masks, at the body's parameters."""
    model.zero_grad()
    config = LossConfig(class_gradient=class_gradient)
    BTV.losses(model, batch(strong=False, masked=False), config=config, classify=True).total.backward()
    branch = {id(parameter) for module in model.classification_modules() for parameter in module.parameters()}
    return [p.grad.clone() for p in model.parameters() if p.grad is not None and id(p) not in branch]


def test_the_loss_decides_how_much_of_the_class_gradient_moves_the_body(model: BilateralTwoViewNet) -> None:
    model.eval()
    whole, half, none = (body_gradients(model, class_gradient=share) for share in (1.0, 0.5, 0.0))
    assert max(gradient.abs().max() for gradient in whole) > 1e-5
    for one, two in zip(whole, half, strict=True):
        torch.testing.assert_close(two, 0.5 * one, atol=1e-7, rtol=1e-4)
    assert not any(gradient.any() for gradient in none)
