"""`mammoloop weights convert`."""

from pathlib import Path

import pytest
import timm
import torch
from skimage import data

from tests.pipelines.cli.calling import Mammoloop

BACKBONE = "test_resnet"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save(timm.create_model(BACKBONE).state_dict(), tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def test_the_command_says_what_it_wrote_what_the_network_sees_and_how_to_use_it(
    mammoloop: Mammoloop, weights: Path, tmp_path: Path
) -> None:
    out, photo = tmp_path / "out.safetensors", Path(data.__file__).parent / "coffee.png"
    words = ["--file", str(weights), "--backbone", BACKBONE, "--out", str(out), "--photo", str(photo)]
    code, text, _ = mammoloop("weights", "convert", *words)
    assert code == 0
    assert out.exists()
    lines = text.splitlines()
    assert lines[0].endswith(f"tensors of weights.pth fit {BACKBONE}; written to {out}")
    assert len(lines) == 7
    assert all("%" in line for line in lines[1:6])
    assert f"--set net.weights={out}" in lines[6]
    assert "--set net.input_mean=" in lines[6]


@pytest.mark.parametrize("both", [False, True])
def test_the_weights_come_from_one_place(mammoloop: Mammoloop, weights: Path, tmp_path: Path, both: bool) -> None:
    sources = ["--file", str(weights), "--package", "typer"] if both else []
    code, _, err = mammoloop(
        "weights", "convert", "--backbone", BACKBONE, "--out", str(tmp_path / "out.safetensors"), *sources
    )
    assert code == 2
    assert "give one of --package and --file" in err
