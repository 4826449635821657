"""ImageNet weights of another program under the names that timm gives them, and the classes they see in a photograph.

Programs name the layers of one network differently, but build them in the same order: weights are matched in order, and
each pair is checked. What the checks cannot see (two neighbours of one shape changed about), a photograph shows.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from system.errors import UserError
from system.files.atomic import replacing

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class SeenClass:
    """A class of ImageNet that a network sees in a photograph."""

    name: str  # English, as WordNet has it
    probability: float  # 0 to 1


def read_state(path: Path) -> State:
    """Return the tensors of a file by name, in the file's order. Only tensors are unpickled.

    path: .safetensors, or a file of torch.save
    Raises UserError for a file that holds no tensors by name.
    """
    try:
        found = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (OSError, RuntimeError, EOFError, SafetensorError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{path.name} could not be read as weights ({type(error).__name__}): "
            "give a .safetensors file, or one of torch.save with nothing but tensors"
        ) from error
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{path.name} holds {type(found).__name__}, no tensors by name: save the network's state_dict")
    return found


def renamed(state: State, *, backbone: str) -> dict[str, Tensor]:
    """Return the same tensors under timm's names.

    state: of the network that timm calls `backbone`, with its classifier of 1000 classes
    Raises UserError for a name that timm does not have, for another number of tensors, and for the first tensor that
    differs in shape or in kind (weight, bias, running mean, …).
    """
    with torch.device("meta"):  # the structure alone
        wanted = _imagenet_model(backbone).state_dict()
    if len(state) != len(wanted):
        raise UserError(
            f"the file holds {len(state)} tensors, {backbone} of timm has {len(wanted)}: give weights of this network"
        )
    if state.keys() == wanted.keys():
        state = {name: state[name] for name in wanted}
    for (theirs, given), (ours, like) in zip(state.items(), wanted.items(), strict=True):
        if given.shape != like.shape or _kind(theirs) != _kind(ours):
            raise UserError(
                f"tensor {theirs} {list(given.shape)} does not fit {ours} {list(like.shape)} of {backbone}: "
                "give weights of this network, saved in the order in which it is built"
            )
    return dict(zip(wanted, state.values(), strict=True))


def write_state(state: State, path: Path) -> None:
    """Write tensors as safetensors, in one go."""
    with replacing(path) as partial:
        save_file({name: value.contiguous() for name, value in state.items()}, partial)


def input_of(backbone: str) -> tuple[float, float]:
    """Return mean and standard deviation by which the network's gray values (0 to 1) are normalised: net.input_*.

    They are timm's for the backbone, means over the colours.
    """
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(backbone)
    assert config is not None
    return sum(config.mean) / 3, sum(config.std) / 3


@torch.no_grad()
def classes_in(photo: Path, state: State, *, backbone: str, count: int = 5) -> list[SeenClass]:
    """Return the classes that the network finds most probable in a photograph, best first.

    Raises UserError for a file that is no picture.
    """
    from timm.data import ImageNetInfo, create_transform, resolve_data_config

    model = _imagenet_model(backbone)
    model.load_state_dict(dict(state))
    try:
        picture = Image.open(photo).convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(f"--photo {photo.name} is no picture that can be read: give a JPEG or PNG file") from error
    transform = create_transform(**resolve_data_config({}, model=model))
    assert not isinstance(transform, tuple)  # as where it is asked for in three parts
    pixels = transform(picture)
    best = torch.softmax(model.eval()(pixels[None])[0], dim=0).topk(count)  # type: ignore[index]
    names = ImageNetInfo()
    return [
        SeenClass(names.index_to_description(index), probability)
        for index, probability in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def _imagenet_model(backbone: str) -> nn.Module:
    import timm

    if not timm.is_model(backbone):
        raise UserError(f"--backbone: timm has no model {backbone!r}; see timm.list_models()")
    return timm.create_model(backbone, pretrained=False)


def _kind(name: str) -> str:
    """Return which tensor of its layer a tensor is, e.g. weight, bias, running_mean."""
    return name.rpartition(".")[2]
