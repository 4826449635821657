from pathlib import Path

import pytest
import torch

from system.errors import UserError
from system.nets import ModelCard, read_card, read_weights, write_model
from system.nets.weights import CARD, WEIGHTS

CARD_OF_TEST = ModelCard(method="btv", net={"backbone": "hrnet_w18_small"}, height_px=64, width_px=48, classifies=True)


def state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "conv.weight": torch.randn((3, 2, 4, 4), generator=generator).to(memory_format=torch.channels_last),
        "half": torch.randn(5, generator=generator).bfloat16(),
        "num_batches_tracked": torch.tensor(7),
    }


def test_weights_and_card_come_back_as_they_were(tmp_path: Path) -> None:
    write_model(tmp_path / "model", state(), CARD_OF_TEST)
    found = read_weights(tmp_path / "model")
    assert found.keys() == state().keys()
    for name, value in state().items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)
    assert read_card(tmp_path / "model") == CARD_OF_TEST


def test_the_card_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(*_args: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("system.nets.weights.save_file", disk_full)
    with pytest.raises(OSError, match="no space left"):
        write_model(tmp_path, state(), CARD_OF_TEST)
    assert not (tmp_path / CARD).exists()


@pytest.mark.parametrize("kept_bytes", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, kept_bytes: int) -> None:
    folder = tmp_path / "model"
    write_model(folder, state(), CARD_OF_TEST)
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:kept_bytes])
    with pytest.raises(
        UserError, match=r"checkpoint model: model\.safetensors is no whole safetensors file .*take another checkpoint"
    ):
        read_weights(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path: Path, value: float) -> None:
    broken = state()
    broken["half"][2] = value
    write_model(tmp_path / "model", broken, CARD_OF_TEST)
    with pytest.raises(
        UserError, match=r"checkpoint model: 1 tensors hold NaN or infinity, first half; take an earlier checkpoint"
    ):
        read_weights(tmp_path / "model")


def test_a_folder_without_a_model_is_refused_with_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"no model in {tmp_path.name}: expected model\.json and model\.safetensors"):
        read_card(tmp_path)


def test_a_card_without_its_weights_is_no_model(tmp_path: Path) -> None:
    write_model(tmp_path / "model", state(), CARD_OF_TEST)
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no model in model"):
        read_card(tmp_path / "model")


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"method": 3}', "{"])
def test_a_card_that_was_damaged_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    write_model(tmp_path / "model", state(), CARD_OF_TEST)
    (tmp_path / "model" / "model.json").write_text(text)
    with pytest.raises(UserError, match=r"model\.json of model is not what was written .*: restore it"):
        read_card(tmp_path / "model")


def test_weights_that_were_removed_are_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "model", state(), CARD_OF_TEST)
    (tmp_path / "model" / WEIGHTS).unlink()
    with pytest.raises(UserError, match=r"checkpoint model has no model\.safetensors: restore it, or take another"):
        read_weights(tmp_path / "model")
