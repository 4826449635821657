"""What a run takes in when it goes on after its end: what its archive has gained since."""

import logging
from dataclasses import replace
from pathlib import Path

from pipelines import label
from system.config import RunConfig
from system.run.arrivals import arrivals, check_same_patients
from system.run.folder import RunFolder
from system.run.pin import pin_of
from system.run.results import ArchivePin
from system.run.stage import Written

log = logging.getLogger(__name__)


def take_in(archive_uri: str, folder: RunFolder, number: int, *, config: RunConfig, start: str = "") -> None:
    """Read the archive anew for a round and those after it: label its new reports, pin its versions, say what is new.

    Needs a running Ray.

    number: of the round, from 1
    start: folder of the system that it goes on from; "" = as the rounds before it decided
    Raises UserError where patients have changed between training and held-out since the run began.
    """
    labelling, last, this = folder.labelling, folder.last_chapter, folder.round(number)
    for stage in (this.pools, this.predictions):  # of a round that had nothing to train on
        stage.reopen()
    resources = config.resources.reports
    labelled = label.refresh(archive_uri, config=config.reports, resources=resources, stage=labelling)
    log.info("%s", labelled.line())
    label.check_current(archive_uri, stage=labelling)

    def read(_: Path) -> Written[ArchivePin]:
        newest = folder.newest_archive(uri=archive_uri)
        pin = pin_of(newest)
        now = newest.pinned(pin.versions)
        began = newest.pinned(folder.archive_pin.result().versions)
        check_same_patients(began.table("images"), now.table("images"))
        before = newest.pinned(last.archive_pin.result().versions)
        return Written(replace(pin, first_round=number, start=start, arrived=arrivals(before, now)))

    arrived = last.next.archive_pin.once(read).arrived
    new = arrived.line() if arrived else ""
    log.info(
        "%s; round %d goes on from %s",
        f"the archive is {new} newer, and round {number} takes them in" if new else "the archive is as it was",
        number,
        folder.before(number).title,
    )
    if arrived and arrived.num_held_out:
        log.info("%d of the new studies are held out: the run is measured on those it began with", arrived.num_held_out)


def say_what_is_new(folder: RunFolder, archive_uri: str) -> None:
    """Log what the archive has gained since the run read it, and how the run takes it in."""
    newest = folder.newest_archive(uri=archive_uri)
    if new := arrivals(newest.pinned(folder.last_chapter.archive_pin.result().versions), newest).line():
        log.info("the archive is %s newer than this run: `--rounds +1` takes them in", new)
