"""A seeded nemesis in the manner of Jepsen: python -m tests.chaos --seed n --minutes m.

It runs the product's own commands on a tiny synthetic archive and strikes: a stage, a victim, a moment, a fault. Then
the same words are started again until they end with 0, and what the product had acknowledged must be there.

schedule.py   seed -> strikes; pure
words.py      the commands that are struck, and what the user does between them
commands.py   a command in a session of its own, its stages' times
victims.py    the processes of that session
faults.py     a disk that is full, an S3 store that fails
place.py      where a command works: copies to begin with, and what archive and run hold
history.py    what was acknowledged, as JSON lines
checks.py     whether all of it is there, whole, once, and as in the calm run; pure
nemesis.py    one strike

Commands and a few seconds of a machine do not repeat to the microsecond: the same seed strikes the same victim in the
same stage by the same fault after the same share of its time.
"""

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from tests.chaos.faults import can_mount, serve, unmount_all
from tests.chaos.nemesis import Nemesis, NotCalm, Outcome
from tests.chaos.place import Workplace
from tests.chaos.schedule import Place, Strike, draw
from tests.chaos.words import STEPS

HISTORY, LOGS, WORK = "history.jsonl", "logs", "work"


def main(
    seed: Annotated[int, typer.Option(min=0, help="of the schedule of strikes")] = 1,
    minutes: Annotated[float, typer.Option(min=0, help="no strike begins later")] = 20.0,
    only: Annotated[int, typer.Option(min=0, help="do this strike of the seed alone; 0 = from the first on")] = 0,
    step: Annotated[str, typer.Option(help=f"strike this command alone: {', '.join(STEPS)}; all without it")] = "",
    out: Annotated[Path, typer.Option(help="folder of history.jsonl and of what the commands wrote")] = Path(
        "out/chaos"
    ),
) -> None:
    """Strike the product's commands and check what they leave; exit 1 with findings, 2 where one fails undisturbed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing struck is left behind
    if step and step not in STEPS:
        raise typer.BadParameter(f"{step} is none of {', '.join(STEPS)}", param_hint="--step")
    until_s, out = time.monotonic() + 60 * minutes, _emptied(out.resolve())
    typer.echo(f"seed {seed}, {minutes:g} minutes; what is said and seen goes to {out}")
    outcomes: list[Outcome] = []
    try:
        for outcome in _outcomes(seed, only, step=step, out=out):
            _show(outcome)
            outcomes.append(outcome)
            if time.monotonic() >= until_s:
                break
    except NotCalm as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    _show_summary(outcomes)
    shutil.rmtree(out / WORK)
    raise typer.Exit(int(any(outcome.findings for outcome in outcomes)))


def _emptied(out: Path) -> Path:
    """Return the folder, with nothing in it but an empty history; only what an earlier run wrote is removed."""
    if out.exists() and any(out.iterdir()) and not (out / HISTORY).exists():
        raise typer.BadParameter(f"{out} holds something else: name a new folder", param_hint="--out")
    unmount_all(out / WORK)
    shutil.rmtree(out, ignore_errors=True)
    for folder in (LOGS, WORK):
        (out / folder).mkdir(parents=True)
    (out / HISTORY).touch()
    return out


def _outcomes(seed: int, only: int, *, step: str, out: Path) -> Iterator[Outcome]:
    """Do the strikes of a seed, or one of them, and give what became of each; those that cannot be done are named."""
    if not (mountable := can_mount(out / WORK / "probe")):
        typer.echo("a file system cannot be mounted here: strikes that fill the disk are left out")
    with ExitStack() as stack:
        places: dict[Place, Nemesis] = {}
        for number in [only] if only else count(1):
            strike = draw(seed, number)
            if step not in ("", strike.step):
                continue
            if strike.victim == "disk" and not mountable:
                typer.echo(f"{_line(strike)}  left out")
                continue
            if strike.place not in places:
                places[strike.place] = _nemesis(strike.place, out, stack)
            yield places[strike.place].strike(strike)


def _nemesis(place: Place, out: Path, stack: ExitStack) -> Nemesis:
    store = stack.enter_context(serve()) if place == "bucket" else None
    return Nemesis(Workplace(out / WORK / place, store), logs=out / LOGS, history=out / HISTORY)


def _line(strike: Strike) -> str:
    moment = f"{strike.moment.by} {strike.moment.at:.2f}"
    pause = f" {strike.pause_s:.0f} s" if strike.fault in {"STOP", "503", "slow"} else ""
    return (
        f"{strike.number:4}  {strike.place:6}  {strike.where:30}  {strike.victim:9}  {moment}  {strike.fault + pause:9}"
    )


def _show(outcome: Outcome) -> None:
    verdict = "FINDING" if outcome.findings else "ok" if outcome.hit else "missed"
    codes = ", ".join(map(str, outcome.codes))
    typer.echo(f"{_line(outcome.strike)}  exit {codes:12}  {outcome.seconds:5.0f} s  {verdict}")
    for finding in outcome.findings:
        typer.echo(f"      {finding}")


def _show_summary(outcomes: list[Outcome]) -> None:
    """Print a table: by fault, how many strikes there were, how many met nothing, how many found something."""
    typer.echo(f"\n{'fault':12}{'strikes':>9}{'missed':>9}{'findings':>10}")
    for fault in sorted({f"{each.strike.victim} {each.strike.fault}" for each in outcomes}):
        some = [each for each in outcomes if f"{each.strike.victim} {each.strike.fault}" == fault]
        _show_row(fault, some)
    _show_row("all", outcomes)


def _show_row(title: str, outcomes: list[Outcome]) -> None:
    missed, found = sum(not each.hit for each in outcomes), sum(bool(each.findings) for each in outcomes)
    typer.echo(f"{title:16}{len(outcomes):>5}{missed:>9}{found:>10}")


if __name__ == "__main__":
    typer.run(main)
