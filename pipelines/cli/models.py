"""`mammoloop models`: the registry of an archive's models."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.options import ArchiveUri, Json

if TYPE_CHECKING:
    from system.continuous.registry import Decide, Said

Name = Annotated[str, typer.Argument(metavar="MODEL", help="its name, or the beginning of it")]
By = Annotated[str, typer.Option(help="who you are; kept with the change")]
Why = Annotated[str, typer.Option(help="your reason; kept with the change")]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="The registry of models: which is promoted, where each comes from, who decided what.\n\n"
    "Example: `mammoloop models list --archive archive`",
)


@app.command("list")
def list_models(archive: ArchiveUri, json_file: Json = None) -> None:
    """Show the archive's models in the order of their registration.

    Example: `mammoloop models list --archive archive`
    """
    from system.archive import Archive
    from system.continuous.registry import read
    from system.figures.console import console
    from system.figures.format import share
    from system.figures.table import Table
    from system.files.json_out import write_json

    book = read(Archive.open(archive))
    table = Table("Models")
    for heading in ("model", "status", "system"):
        table.add_column(heading)
    table.add_column("mean sensitivity", right=True)
    for heading in ("goes on from", "since"):
        table.add_column(heading)
    for model in book.models.values():
        lineage, last = model.lineage, model.history[-1]
        table.add_row(
            model.name, model.status, lineage.system, share(lineage.mean), lineage.parent or "-", last.said.at
        )
    console(json_file=json_file).print(table if book.models else "the registry has no model yet")
    if json_file:
        write_json(json_file, list(book.models.values()))


@app.command()
def show(model: Name, archive: ArchiveUri, json_file: Json = None) -> None:
    """Show where a model comes from, and what was decided about it, by whom and why.

    Example: `mammoloop models show 3f2a --archive archive`
    """
    from system.archive import Archive
    from system.continuous.registry import read
    from system.figures.console import console
    from system.files.json_out import write_json

    found = read(Archive.open(archive)).find(model)
    screen, lineage = console(json_file=json_file), found.lineage
    screen.print(f"{found.name}: {found.status}")
    for name in ("run", "system", "checkpoint", "parent", "recipe", "plan", "approver", "code_digest"):
        screen.print(f"{name.replace('_', ' ')}: {getattr(lineage, name) or '-'}")
    screen.print("archive: " + ", ".join(f"{table} {version}" for table, version in lineage.archive_versions.items()))
    for entry in found.history:
        screen.print(f"{entry.said.at}  {entry.event} by {entry.said.by}: {entry.said.why}")
    if json_file:
        write_json(json_file, found)


@app.command()
def approve(model: Name, archive: ArchiveUri, by: By, why: Why) -> None:
    """Approve a model that its plan holds for you: it is promoted.

    Example: `mammoloop models approve 3f2a --archive archive --by "R. Ansari" --why "read decision.html"`
    """
    from system.continuous import registry

    _change(archive, registry.approve(model, said=_said(by, why)))


@app.command()
def promote(model: Name, archive: ArchiveUri, by: By, why: Why) -> None:
    """Promote a registered model past its plan; the registry keeps that you did.

    Example: `mammoloop models promote 3f2a --archive archive --by "R. Ansari" --why "site asked for it"`
    """
    from system.continuous import registry

    _change(archive, registry.conclude(model, "promoted", said=_said(by, why)))


@app.command()
def rollback(
    archive: ArchiveUri,
    by: By,
    why: Why,
    to: Annotated[str, typer.Option(help="a model that was promoted before; by default the one before this")] = "",
) -> None:
    """Return to a model that was promoted before. What it has looked at is kept, so nothing is looked at twice.

    Example: `mammoloop models rollback --archive archive --by "R. Ansari" --why "artefacts at site B"`
    """
    from system.continuous import registry

    _change(archive, registry.roll_back(to, said=_said(by, why)))


def _said(by: str, why: str) -> "Said":
    from system.continuous.registry import Said

    return Said(datetime.now(UTC).isoformat(timespec="seconds"), by, why)


def _change(archive_uri: str, decide: "Decide") -> None:
    from system.archive import Archive
    from system.continuous.registry import add

    book = add(Archive.open(archive_uri), decide)
    typer.echo(f"promoted: {book.promoted or 'none'}")
