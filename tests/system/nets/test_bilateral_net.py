import math

import pytest
import torch
from torch import Tensor, nn

from system.errors import UserError
from system.nets import BilateralTwoViewNet, NetConfig
from system.nets.trunks import HrnetTrunk

SIZE = 64
SMALL = NetConfig(backbone="hrnet_w18_small", pretrained=False)


def make_net(backbone: str, **changes: object) -> BilateralTwoViewNet:
    """Return a net in eval mode whose norms shift, so that an empty image alone does not give empty maps."""
    torch.manual_seed(1)
    model = BilateralTwoViewNet(SMALL.changed(backbone=backbone, **changes))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.bias, -0.5, 0.5)
    nn.init.normal_(model.mask_head.classify.weight, std=0.03)
    return model.eval()


@pytest.fixture(scope="module", params=["hrnet_w18_small", "resnet18", "densenet121"])
def net(request: pytest.FixtureRequest) -> BilateralTwoViewNet:
    return make_net(request.param)


@pytest.fixture(scope="module")
def hrnet() -> BilateralTwoViewNet:
    return make_net("hrnet_w18_small")


def images(seed: int, *, count: int = 2) -> Tensor:
    return torch.rand((count, 1, SIZE, SIZE), generator=torch.Generator().manual_seed(seed)) + 0.01


def assert_close(found: Tensor | None, expected: Tensor | None) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_pair_gives_what_each_breast_gives_beside_the_other(net: BilateralTwoViewNet) -> None:
    left, right = images(1), images(2)
    pair_left, pair_right = net.forward_pair(left, right)
    for found, expected in ((pair_left, net(left, right)), (pair_right, net(right, left))):
        assert_close(found.mask_logits, expected.mask_logits)
        assert_close(found.class_logits, expected.class_logits)
    assert (pair_left.mask_logits - pair_right.mask_logits).abs().max() > 1e-3


@torch.no_grad()
def test_a_pair_with_a_missing_breast_gives_what_the_other_gives_alone(net: BilateralTwoViewNet) -> None:
    left, right = images(1), images(2)
    right[1] = 0
    pair_left, pair_right = net.forward_pair(left, right)
    assert_close(pair_left.mask_logits, net(left, right).mask_logits)
    assert_close(pair_right.mask_logits[:1], net(right[:1], left[:1]).mask_logits)


@torch.no_grad()
def test_the_other_breast_changes_the_result(net: BilateralTwoViewNet) -> None:
    main = images(1)
    assert (net(main, images(2)).mask_logits - net(main, images(3)).mask_logits).abs().max() > 1e-4


@torch.no_grad()
def test_a_missing_auxiliary_stands_for_zero_maps(net: BilateralTwoViewNet) -> None:
    main, auxiliary = images(1), images(2)
    auxiliary[1] = 0
    maps = net.trunk.early(main)
    zeros = [torch.zeros_like(branch) for branch in maps]
    alone = net.heads(net.late(maps, zeros), classify=True)
    both = net.heads(net.late(maps, net.trunk.early(auxiliary)), classify=True)
    output = net(main, auxiliary)
    assert_close(output.mask_logits[1], alone.mask_logits[1])
    assert_close(output.mask_logits[0], both.mask_logits[0])
    # an empty image run through stages 1 to 3 gives other maps
    assert (alone.mask_logits[1] - both.mask_logits[1]).abs().max() > 1e-3


@torch.no_grad()
def test_split_and_rejoined_without_the_join_it_is_timms_own_network(hrnet: BilateralTwoViewNet) -> None:
    assert isinstance(hrnet.trunk, HrnetTrunk)
    image, timms = images(1), hrnet.trunk.net
    branches = hrnet.trunk.early(image)
    moved = [
        branches[i] if isinstance(move, nn.Identity) else move(branches[-1]) for i, move in enumerate(timms.transition3)
    ]
    output = hrnet.heads(timms.stage4(moved), classify=True)
    assert_close(output.class_logits, timms(image))


@torch.no_grad()
def test_stages_1_to_3_run_once_a_breast_of_a_pair(hrnet: BilateralTwoViewNet) -> None:
    sizes: list[int] = []
    assert isinstance(hrnet.trunk, HrnetTrunk)
    hook = hrnet.trunk.net.layer1.register_forward_hook(lambda _module, given, _made: sizes.append(len(given[0])))
    hrnet.forward_pair(images(1), images(2))
    hook.remove()
    assert sizes == [4]  # two pairs: four breasts, in one pass


@torch.no_grad()
def test_masks_are_at_stride_4_and_classes_only_on_request(net: BilateralTwoViewNet) -> None:
    main = images(1)[:, :, :32]
    assert net(main, main).mask_logits.shape == (2, 1, 8, 16)
    assert net(main, main).class_logits.shape == (2, 2)
    assert net(main, main, classify=False).class_logits is None
    assert [output.class_logits for output in net.forward_pair(main, main, classify=False)] == [None, None]


@torch.no_grad()
@pytest.mark.parametrize("prior", [0.01, 0.3])
def test_the_untrained_head_gives_its_prior_everywhere(prior: float) -> None:
    torch.manual_seed(1)
    model = BilateralTwoViewNet(SMALL.model_copy(update={"prior": prior}))
    logits = model(images(1), images(2), classify=False).mask_logits
    assert (logits - math.log(prior / (1 - prior))).abs().max() < 0.8
    assert torch.sigmoid(logits).mean().item() == pytest.approx(prior, rel=0.2)


def test_the_image_level_branch_is_no_part_of_the_way_to_the_mask(net: BilateralTwoViewNet) -> None:
    branch = [parameter for module in net.classification_modules() for parameter in module.parameters()]
    net.zero_grad()
    net(images(1), images(2)).mask_logits.sum().backward()
    assert len(branch) >= 2
    assert all(parameter.grad is None for parameter in branch)


def trunk_gradients(net: BilateralTwoViewNet, *, share: float) -> dict[str, Tensor]:
    """Return the gradient of the class logits at every parameter, zeros where there is none."""
    net.zero_grad()
    output = net(images(1), images(2), class_gradient=share)
    assert output.class_logits is not None
    output.class_logits[:, 1].sum().backward()
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in net.named_parameters()}


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_share_of_the_class_gradient_reaches_the_trunk_and_all_of_it_the_branch(
    net: BilateralTwoViewNet, share: float
) -> None:
    whole, part = trunk_gradients(net, share=1.0), trunk_gradients(net, share=share)
    branch = {id(parameter) for module in net.classification_modules() for parameter in module.parameters()}
    in_branch = {name for name, parameter in net.named_parameters() if id(parameter) in branch}
    for name, gradient in part.items():
        wanted = whole[name] if name in in_branch else share * whole[name]
        torch.testing.assert_close(gradient, wanted, atol=1e-6, rtol=1e-4)
    assert max(whole[name].abs().max() for name in whole if name not in in_branch) > 1e-4
    assert any(name.endswith("bn1.weight") or "norm" in name for name in whole if name not in in_branch)


def test_the_share_of_the_class_gradient_changes_no_value_and_leaves_the_mask_gradient_alone(
    net: BilateralTwoViewNet,
) -> None:
    found = []
    for share in (1.0, 0.5, 0.0):
        net.zero_grad()
        output = net(images(1), images(2), class_gradient=share)
        output.mask_logits.sum().backward()
        gradients = [parameter.grad.clone() for parameter in net.parameters() if parameter.grad is not None]
        found.append([output.mask_logits, output.class_logits, *gradients])
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


def test_the_share_of_the_class_gradient_leaves_the_norms_statistics_alone() -> None:
    found = []
    for share in (1.0, 0.0):
        training = make_net("resnet18").train()
        training(images(1), images(2), class_gradient=share)
        found.append(dict(training.named_buffers()))
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def trained_once(backbone: str, auxiliary: Tensor) -> BilateralTwoViewNet:
    """Return a net after one forward and backward pass in training."""
    model = make_net(backbone).train()
    model(images(1, count=len(auxiliary)), auxiliary).mask_logits.sum().backward()
    return model


def with_absent(auxiliary: Tensor, absent: list[int]) -> Tensor:
    auxiliary = auxiliary.clone()
    auxiliary[absent] = 0
    return auxiliary


@pytest.mark.parametrize("backbone", ["hrnet_w18_small", "resnet18"])
@pytest.mark.parametrize("absent", [[0, 2], [0, 1, 2, 3]])
def test_in_training_the_trunks_norms_see_the_present_breasts_alone(backbone: str, absent: list[int]) -> None:
    auxiliary = with_absent(images(2, count=4), absent)
    found, expected = make_net(backbone).train(), make_net(backbone).train()
    found(images(1, count=4), auxiliary)
    present = [i for i in range(4) if i not in absent]
    expected.trunk.early(torch.cat([images(1, count=4), auxiliary[present]]))
    early = [name for name, module in expected.named_modules() if int(getattr(module, "num_batches_tracked", 0) or 0)]
    assert len(early) > 10
    statistics = dict(found.named_buffers())
    for name, value in expected.named_buffers():
        if name.rpartition(".")[0] in early:
            torch.testing.assert_close(statistics[name], value)


@pytest.mark.parametrize("backbone", ["hrnet_w18_small", "resnet18"])
def test_in_training_an_absent_breast_stands_for_zero_maps_in_its_own_place(backbone: str) -> None:
    main, auxiliary = images(1, count=4), with_absent(images(2, count=4), [0, 2])
    found, other = make_net(backbone), make_net(backbone)
    expected = found(main, auxiliary)
    for model in (found, other):  # norms in training give what they give in eval, so that the two can be compared
        model.train()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    assert_close(found(main, auxiliary).mask_logits, expected.mask_logits)
    assert_close(found(main, auxiliary).class_logits, expected.class_logits)
    assert (other(main, auxiliary.flip(0)).mask_logits - expected.mask_logits).abs().max() > 1e-4


@pytest.mark.parametrize("absent", [[0, 2], [0, 1, 2, 3]])
def test_every_parameter_gets_a_gradient_beside_absent_breasts(absent: list[int]) -> None:
    model = trained_once("resnet18", with_absent(images(2, count=4), absent))
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == ["trunk.classifier.weight", "trunk.classifier.bias"]


@pytest.mark.slow  # compiles three times
# torch.compile looks at .grad of maps where it goes on after the count of the present breasts
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf Tensor:UserWarning")
def test_a_compiled_network_takes_any_number_of_absent_breasts() -> None:
    compiled, plain = make_net("resnet18").train(), make_net("resnet18").train()
    compiled.compile(backend="eager")
    for absent in ([], [1], [0, 2, 3], [0, 1, 2, 3], [2]):
        auxiliary = with_absent(images(2, count=4), absent)
        found, expected = (model(images(1, count=4), auxiliary) for model in (compiled, plain))
        assert_close(found.mask_logits, expected.mask_logits)
    for name, value in plain.named_buffers():
        torch.testing.assert_close(dict(compiled.named_buffers())[name], value)


def test_the_decoder_is_as_wide_as_asked_for() -> None:
    for width in (16, 128):
        model = make_net("resnet18", decoder_width=width)
        assert model.trunk.channels == [width] * 4
        assert model(images(1), images(2)).class_logits.shape == (2, 2)
    assert NetConfig().decoder_width == 128


@torch.no_grad()
@pytest.mark.parametrize("backbone", ["hrnet_w18_small", "resnet18"])
def test_the_network_normalises_its_input_itself(backbone: str) -> None:
    plain, normalising = make_net(backbone), make_net(backbone, input_mean=0.4, input_sd=0.2)
    main, auxiliary = images(1), images(2)
    changed = (main - 0.4) / 0.2, (auxiliary - 0.4) / 0.2
    assert_close(normalising(main, auxiliary).mask_logits, plain(*changed).mask_logits)
    found = normalising.forward_pair(main, auxiliary)
    for output, expected in zip(found, plain.forward_pair(*changed), strict=True):
        assert_close(output.mask_logits, expected.mask_logits)


@pytest.mark.parametrize("training", [False, True])
def test_an_absent_breast_is_recognised_before_it_is_normalised(training: bool) -> None:
    model = make_net("resnet18", input_mean=0.4, input_sd=0.2)
    main, absent = images(1), torch.zeros_like(images(1))
    alone = model.heads(model.late(maps := model._early(main), [torch.zeros_like(m) for m in maps]), classify=True)
    if training:  # with the norms of eval
        for module in model.train().modules():
            module.training = not isinstance(module, nn.BatchNorm2d)
    assert_close(model(main, absent).mask_logits, alone.mask_logits)


FROZEN = {  # backbone -> the prefixes of its stem and first two blocks
    "tf_efficientnet_lite0": ("conv_stem.", "bn1.", "blocks.0.", "blocks.1."),
    "resnet18": ("conv1.", "bn1.", "layer1.", "layer2."),
    "convnext_atto": ("stem_0.", "stem_1.", "stages_0.", "stages_1."),
    "densenet121": (
        *("features_conv0.", "features_norm0.", "features_denseblock1.", "features_transition1."),
        *("features_denseblock2.", "features_transition2."),
    ),
    "hrnet_w18_small": ("conv1.", "bn1.", "conv2.", "bn2.", "layer1.", "transition1.", "stage2."),
}


@pytest.mark.parametrize("backbone", FROZEN)
def test_what_is_frozen_is_the_stem_and_the_first_blocks(backbone: str) -> None:
    model = make_net(backbone, frozen_blocks=2)
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if name.startswith(under_trunk(backbone))}


def under_trunk(backbone: str) -> tuple[str, ...]:
    return tuple(f"trunk.net.{part}" for part in FROZEN[backbone])


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "resnet18"])
def test_a_step_of_training_leaves_what_is_frozen_with_its_norms_as_it_was(backbone: str) -> None:
    model = nn.ModuleList([make_net(backbone, frozen_blocks=2)]).train()  # in a wrapper, as DDP is one
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model[0](images(1), images(2)).mask_logits.sum().backward()
    optimizer.step()
    moved = {
        name.removeprefix("0.") for name, value in model.state_dict().items() if not torch.equal(value, before[name])
    }
    assert not [name for name in moved if name.startswith(under_trunk(backbone))]
    assert [name for name in moved if name.startswith("trunk.net.") and "running_mean" in name]


def test_nothing_is_frozen_unless_asked_for() -> None:
    assert all(parameter.requires_grad for parameter in make_net("resnet18").parameters())


@pytest.mark.parametrize(
    ("backbone", "count", "found"),
    [("resnet18", 5, "has 4 blocks"), ("vgg11_bn", 1, "has no blocks that can be told apart")],
)
def test_more_blocks_than_the_backbone_has_are_refused(backbone: str, count: int, found: str) -> None:
    with pytest.raises(UserError, match=rf"net\.frozen_blocks is {count}, but {backbone} {found}: lower it"):
        make_net(backbone, frozen_blocks=count)


@pytest.mark.parametrize("backbone", FROZEN)
def test_the_pretrained_modules_are_timms_without_the_image_level_branch(backbone: str) -> None:
    model = make_net(backbone)
    pretrained = {id(p) for module in model.pretrained_modules() for p in module.parameters()}
    branch = {id(p) for module in model.classification_modules() for p in module.parameters()}
    timms = {id(p) for name, p in model.named_parameters() if name.startswith("trunk.net.")}
    assert pretrained == timms - branch
