"""A run's page while the run goes on: written anew whenever an epoch or a stage is over, without pictures of images."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from pipelines.page.gather import gather_quickly
from system.config import RunConfig
from system.figures.page import write_page
from system.figures.rows import PageData
from system.run.folder import RunFolder
from system.run.progress import Progress, progress_of
from system.run.under_way import rows_so_far

log = logging.getLogger(__name__)
POLL_S = 5.0
MOST_OF_TIME = 0.05  # share of the time that the page may be written in: of short stages not each has a page


@contextmanager
def live_page(
    run: RunFolder,
    *,
    archive_uri: str,
    config: RunConfig,
    poll_s: float = POLL_S,
    most_of_time: float = MOST_OF_TIME,
) -> Iterator[None]:
    """Keep the run's page up to date while the block runs; at its end the page says that the run is over or stopped.

    A page that cannot be written is logged and ends nothing.

    poll_s: how often the run's folder is looked at;  most_of_time: share of the time to write the page in, 0 to 1
    """
    page, over = _LivePage(run, archive_uri, config, most_of_time), threading.Event()
    page.begin()

    def follow() -> None:
        while not over.wait(poll_s):
            page.update()

    thread = threading.Thread(target=follow, name="live page", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        page.end()


_Seen = tuple[int, int, str]
"""Finished stages, epochs of the training under way that are over, the stage under way."""


@dataclass
class _LivePage:
    run: RunFolder
    archive_uri: str
    config: RunConfig
    most_of_time: float
    not_before_s: float = 0.0  # by the monotonic clock: when the page may be written again
    seen: _Seen | None = None  # when the page was last written
    data: PageData | None = None  # that was written last
    told: set[str] = field(default_factory=set[str])  # faults that were logged

    def begin(self) -> None:
        """Write the page, unless the run is finished and has its own."""
        self._try(at_work=True)

    def update(self) -> None:
        """Write the page if the run has moved, unless it was written just now."""
        if time.monotonic() >= self.not_before_s:
            self._try(at_work=True)

    def end(self) -> None:
        """Write the page of a run that is finished or stopped, unless it was finished before."""
        self._try(at_work=False)

    def _try(self, *, at_work: bool) -> None:
        start_s = time.monotonic()
        try:
            self._write(at_work=at_work)
        except Exception as error:  # whatever it is, the run goes on
            reason = f"{type(error).__name__}: {error}"
            if reason not in self.told:
                self.told.add(reason)
                log.warning("the run's page is not up to date (%s)", reason)
        end_s = time.monotonic()
        self.not_before_s = end_s + (end_s - start_s) * (1 / self.most_of_time - 1)

    def _write(self, *, at_work: bool) -> None:
        progress = progress_of(self.run.path)
        seen = self._seen(progress)
        if self.data is None and progress.state == "finished":
            return
        if seen != self.seen or self.data is None:
            pinned = self.run.archive_pin.finished
            archive = self.run.archive(uri=self.archive_uri) if pinned else None
            self.data = gather_quickly(self.run, archive=archive, config=self.config)
        elif at_work:
            return
        live = replace(self.data.live, at_work=at_work) if self.data.live else None  # our own lock is held to the end
        write_page(replace(self.data, live=live), self.run.page)
        self.seen = seen

    def _seen(self, progress: Progress) -> _Seen:
        epochs = len(rows_so_far(self.run.path / progress.stage)) if progress.training else 0
        return len(progress.finished), epochs, progress.stage
