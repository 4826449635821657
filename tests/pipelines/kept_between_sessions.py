"""Something that takes minutes to make, kept from one test session to the next as long as the code is the same."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def kept(cache: Path, *, digest: str, make: Callable[[Path], None], otherwise: Path) -> Iterator[Path]:
    """Give a folder as `make` left it, always at the same place; another session that holds it makes its own.

    cache: of one such thing; what an earlier digest left is removed
    digest: of all that decides what is made
    otherwise: where it is made while another session is at work
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            make(otherwise)
            yield otherwise
            return
        place, whole = cache / "place", cache / digest
        shutil.rmtree(place, ignore_errors=True)
        if not whole.exists():
            for earlier in cache.iterdir():
                if earlier.is_dir():
                    shutil.rmtree(earlier)
            place.mkdir()
            make(place)
            shutil.copytree(place, cache / "partial")
            (cache / "partial").rename(whole)
        else:
            shutil.copytree(whole, place)
        yield place
