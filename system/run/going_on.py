"""Whether and how far a run goes on, decided from its folder; pipelines/go_on.py carries it out."""

import logging

from system.config import RunConfig
from system.errors import UserError
from system.rounds import parse_rounds, rounds_in_all
from system.run.folder import RunFolder

log = logging.getLogger(__name__)


def with_rounds(config: RunConfig, text: str, *, folder: RunFolder) -> tuple[RunConfig, bool]:
    """Return the settings with as many rounds as are asked for, and whether these are more than the run has done.

    text: 3, in all; +1, more than are done; "" = as many as the settings say
    Raises UserError for what is neither, or +1 where there is no run.
    """
    if not text:
        return config, False
    number, more = parse_rounds(text)
    if more and not folder.begun:
        raise UserError(
            f"--rounds {text}: {folder.name} holds no run that could go on; give a number without + for a new one"
        )
    begun_for = folder.config().rounds.num_rounds if more else 0
    if more and not folder.ended:
        log.info(
            "run %s has not come to its end: it goes on to the %d rounds it was started for", folder.name, begun_for
        )
    total = rounds_in_all(number, more=more, done=folder.num_done, begun_for=begun_for, finished=folder.ended)
    return config.changed(rounds=config.rounds.changed(num_rounds=total)), more


def check_start(folder: RunFolder, start: str, *, num_rounds: int, more: bool) -> None:
    """Raise UserError where rounds cannot go on from the system that is asked for.

    start: the name of its folder, "" = as the rounds decided
    num_rounds: that the run is to have in all;  more: as of `with_rounds`
    """
    if not start:
        return
    folder.trained(start)
    chapter = folder.last_chapter
    if folder.ended and not (more or wants_more(folder, num_rounds)):
        raise UserError(f"--from {start} begins a further round: give --rounds +1 as well")
    if not folder.ended and chapter.start != start:
        went_on = chapter.start or "what its rounds decided"
        raise UserError(
            f"run {folder.name} is in the middle of its rounds, which go on from {went_on}: let it end without --from"
        )


def wants_more(folder: RunFolder, num_rounds: int) -> bool:
    """Return whether more rounds are wanted than a run that has come to its end was to have."""
    if not folder.ended:
        return False
    ended_with = folder.chosen.result().num_rounds
    return num_rounds > (folder.config().rounds.num_rounds if ended_with is None else ended_with)


def begins_chapter(folder: RunFolder, number: int, *, more: bool) -> bool:
    """Return whether a round is the first of a chapter that is still to begin.

    more: as of `selftrain.run`. Where no more is wanted, a run stays at a round that had nothing to train on.
    """
    if not folder.ended or number <= folder.num_done:
        return False
    return more or not folder.round(number).pools.finished
