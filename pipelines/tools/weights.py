"""Convert: ImageNet weights that lie on this machine, as a file for `net.weights`."""

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from system.errors import UserError
from system.nets.convert import SeenClass, classes_in, input_of, read_state, renamed, write_state

WEIGHTS = (".pth", ".pt", ".safetensors")


@dataclass(frozen=True)
class Converted:
    """What came of a conversion."""

    source: Path
    num_tensors: int
    input_mean: float  # of gray values from 0 to 1; net.input_mean
    input_sd: float  # net.input_sd
    seen: list[SeenClass]  # in the photograph, best first; empty without one


def run(source: Path, out: Path, *, backbone: str, photo: Path | None = None) -> Converted:
    """Write the weights under timm's names; the photograph is looked at with what was written.

    source: .pth or .safetensors;  out: .safetensors
    Raises UserError for an `out` of another kind, and as `read_state`, `renamed` and `classes_in` do.
    """
    if out.suffix != ".safetensors":
        raise UserError(f"--out {out.name} is no .safetensors file: nothing else is written, give such a name")
    state = renamed(read_state(source), backbone=backbone)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_state(state, out)
    seen = classes_in(photo, read_state(out), backbone=backbone) if photo else []
    return Converted(source, len(state), *input_of(backbone), seen)


def file_of(package: str) -> Path:
    """Return the one file of weights of an installed Python package, without importing the package.

    Raises UserError for a package that is not installed, and for one without such a file or with several.
    """
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise UserError(f"--package {package} is not installed: install it with pip, or give --file") from None
    found = [file for file in files if file.suffix in WEIGHTS]
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise UserError(f"--package {package} has {len(found)} files of weights ({names}), not one: give --file")
    return Path(str(found[0].locate()))
