"""The watcher's hands: the product's own commands, each in a process of its own with a time limit."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep, time

from pydantic import TypeAdapter

from pipelines.continuous.sources import Seen, fetch, signature
from pipelines.continuous.watched import Failed
from system.archive import Archive
from system.config import as_yaml
from system.continuous.plan import Plan
from system.files.atomic import write_text
from system.files.json_in import read_record
from system.files.json_out import write_json
from system.run.folder import RunFolder
from system.run.watching import FOLDER

log = logging.getLogger(__name__)

_SEEN = "sources.json"
_POLL_S = 0.2
_ENDS_WITHIN_S = 25.0  # after SIGTERM; a command ends within seconds
_HOUR_S = 3600.0


@dataclass(frozen=True)
class OwnCommands:
    """As of watch.Commands."""

    archive_uri: str
    run: RunFolder
    plan: Plan
    sources: tuple[str, ...]  # folders, and s3://bucket/prefix
    layout: str
    words: tuple[str, ...] = ()  # more of each command, e.g. --set resources.cluster.address=local

    def ingest(self) -> dict[str, float]:
        """Take in the sources of which anything is new, and return when something last came, by source."""
        kept = self._seen()
        for source in self.sources:
            folder = fetch(source, self.run.path / FOLDER / "fetched")
            before = kept.get(source, Seen("", time()))
            now = signature(folder, settle_s=self.plan.intake.settle_s)
            if now != before.signature:
                words = ("--source", str(folder), "--archive", self.archive_uri, "--layout", self.layout)
                self._run("ingest", *words, "--config", str(self._settings()), limit_s=self._catch_up_s)
                kept[source] = Seen(now, time())
                write_json(self.run.path / FOLDER / _SEEN, kept)
        return {source: kept[source].at_s for source in self.sources if source in kept}

    def catch_up(self, system: str) -> None:
        """Label, infer and sort what has come."""
        words = ("--archive", self.archive_uri, "--run", str(self.run.path), "--system", system)
        self._run("catch-up", *words, limit_s=self._catch_up_s)

    def retrain(self, system: str) -> None:
        """Train and measure one more round."""
        words = ("--archive", self.archive_uri, "--out", str(self.run.path), "--rounds", "+1", "--from", system)
        self._run("selftrain", *words, limit_s=self.plan.limits.retrain_hours * _HOUR_S)

    @property
    def _catch_up_s(self) -> float:
        return self.plan.limits.catch_up_hours * _HOUR_S

    def _seen(self) -> dict[str, Seen]:
        path = self.run.path / FOLDER / _SEEN
        kept = TypeAdapter(dict[str, Seen])
        return read_record(path, kept, remedy="remove it: sources are looked at anew") if path.exists() else {}

    def _settings(self) -> Path:
        """Write the settings of an ingest: the run's, at the archive's size, and return their file."""
        config = self.run.config()
        imaging = Archive.open(self.archive_uri).imaging
        ingest = config.ingest.changed(imaging=imaging, settle_s=self.plan.intake.settle_s, force=False)
        path = self.run.path / FOLDER / "ingest.yaml"
        write_text(path, as_yaml(config.changed(ingest=ingest)))
        return path

    def _run(self, command: str, *words: str, limit_s: float) -> None:
        """Run one command of ours to its end. Raises Failed; where this process is stopped, the command is too."""
        started = subprocess.Popen([sys.executable, "-m", "pipelines", command, *words, *self.words], process_group=0)
        until_s = monotonic() + limit_s
        try:
            while (code := started.poll()) is None:
                if monotonic() > until_s:
                    raise Failed(f"{command} was ended: it took longer than the plan's {limit_s / _HOUR_S:g} hours")
                sleep(_POLL_S)
        finally:
            end(started)
        if code:
            raise Failed(f"{command} ended with {code}")


def end(started: subprocess.Popen[bytes]) -> None:
    """End a command that is still there: first asked, then with all that it has started."""
    if started.poll() is not None:
        return
    started.terminate()
    try:
        started.wait(_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def words_of(changes: Sequence[str]) -> tuple[str, ...]:
    """Return `--set` for each setting."""
    return tuple(word for change in changes for word in ("--set", change))
