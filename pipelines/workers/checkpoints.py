"""The checkpoints that Ray Train keeps of a training, and those that it began and never finished."""

import json
import logging
import shutil
from pathlib import Path

log = logging.getLogger(__name__)
_LIST = "checkpoint_manager_snapshot.json"  # of Ray Train: the checkpoints that it knows to be whole


def remove_partial(folder: Path) -> None:
    """Remove the checkpoints of a training that are not whole; it must not be running.

    folder: Ray Train's, of one training. Where a full disk left its list of checkpoints half written, none is known to
    be whole, and the training starts from its beginning.
    """
    if not folder.exists():
        return
    whole = _whole(folder)
    for path in folder.glob("checkpoint_*"):
        if path.is_dir() and path.name not in whole:
            shutil.rmtree(path)
            log.info("removed %s, which was never finished", path.name)


def _whole(folder: Path) -> set[str]:
    path = folder / _LIST
    if not path.exists():
        return set()
    try:
        return {
            each["checkpoint_dir_name"] for each in json.loads(path.read_text(encoding="utf8"))["checkpoint_results"]
        }
    except (ValueError, KeyError, TypeError):
        path.unlink()
        log.warning("the list of checkpoints was half written: the training starts from its beginning")
        return set()
