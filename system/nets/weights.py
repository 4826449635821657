"""A trained network on disk: weights in safetensors, their description in JSON; nothing is unpickled."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import ConfigDict, TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from system.errors import UserError
from system.files.json_in import read_record

CARD, WEIGHTS = "model.json", "model.safetensors"


@dataclass(frozen=True)
class ModelCard:
    """The facts that are needed to use the weights."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    method: str  # key of methods.METHODS
    net: dict[str, Any]  # NetConfig
    height_px: int  # canonical view it was trained on
    width_px: int
    classifies: bool  # whether the image-level branch has been trained


def write_model(folder: Path, state: Mapping[str, Tensor], card: ModelCard) -> None:
    """Write weights and card; the card last, so that a card means a whole model."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.detach().cpu().contiguous() for name, value in state.items()}, folder / WEIGHTS)
    (folder / CARD).write_text(json.dumps(asdict(card), indent=1, sort_keys=True), encoding="utf8")


def read_card(folder: Path) -> ModelCard:
    """Return the card of a model's folder. Raises UserError where there is no model, or the card is damaged."""
    path = folder / CARD
    if not (path.exists() and (folder / WEIGHTS).exists()):
        raise UserError(
            f"no model in {folder.name}: expected {CARD} and {WEIGHTS}; give the folder of a trained checkpoint"
        )
    return read_record(path, TypeAdapter(ModelCard), remedy="restore it, or take another checkpoint")


def weights_digest(folder: Path) -> str:
    """Return the sha256 of the weights' file, which identifies the network whatever its folder is called."""
    with (folder / WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights. Raises UserError for an absent or truncated file, and for values that are not finite."""
    try:
        state = load_file(folder / WEIGHTS)
    except FileNotFoundError:
        raise UserError(f"checkpoint {folder.name} has no {WEIGHTS}: restore it, or take another checkpoint") from None
    except SafetensorError as error:
        raise UserError(
            f"checkpoint {folder.name}: {WEIGHTS} is no whole safetensors file ({error}); take another checkpoint"
        ) from error
    bad = [name for name, value in state.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if bad:
        raise UserError(
            f"checkpoint {folder.name}: {len(bad)} tensors hold NaN or infinity, first {bad[0]}; "
            "take an earlier checkpoint"
        )
    return state
