"""The words of the command line beside the commands themselves: their order, the version, `--json` without a file."""

import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

ORDER = (
    *("demo", "doctor", "config", "weights"),
    *("phantom", "check", "ingest", "reports", "quarantine"),
    *("label", "selftrain", "status", "infer", "review"),
    *("evaluate", "compare", "explain", "predict", "froc"),
    *("watch", "models", "catch-up"),
    *("sweep", "reproduce"),
)
"""The commands in the order in which they are used."""


class InOrderOfUse(TyperGroup):
    """Lists the commands by ORDER, others after them (typer would list groups last), and takes `--json` alone."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **named: Any) -> Any:
        """Run a command. args: the words after the program's name; None = those of the command line."""
        return super().main(json_alone_completed(self, sys.argv[1:] if args is None else args), *rest, **named)

    def list_commands(self, ctx: Any) -> list[str]:  # typer's Context, by the name that its own class has for it
        """Return the names of the commands."""
        return sorted(super().list_commands(ctx), key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def print_version(wanted: bool) -> None:
    """Print name and version, and end."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"mammoloop {version('mammoloop')}")
        raise typer.Exit


def json_alone_completed(command: Any, words: Sequence[str]) -> list[str]:
    """Return the words with `--json` that names no file as `--json -`, standard output; typer has no such option.

    command: typer's, of the program
    """
    for word in words:
        if isinstance(command, TyperGroup) and word in command.commands:
            command = command.commands[word]
    takes_file = any("--json" in option.opts for option in command.params)
    completed: list[str] = []
    for place, word in enumerate(words):
        completed.append(word)
        if takes_file and word == "--json" and (place + 1 == len(words) or words[place + 1].startswith("--")):
            completed.append("-")
    return completed
