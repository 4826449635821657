"""The types of the pipelines' fixtures, for the tests that name them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from system.archive import Archive
from system.config import RunConfig
from system.records import Split
from system.run.folder import RunFolder

MakeArchive = Callable[[Path, Mapping[str, Split]], Archive]
Killing = Callable[..., AbstractContextManager[None]]


@dataclass(frozen=True)
class FinishedRun:
    """A whole run of two rounds and a control on a tiny synthetic archive; tests share it and never write into it."""

    folder: RunFolder
    archive_uri: str
    config: RunConfig
