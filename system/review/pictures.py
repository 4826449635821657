"""Find the picture that an annotation tool means: tools keep the name of a file, seldom its folder."""

import re
from collections.abc import Callable, Sequence
from urllib.parse import unquote

_UPLOAD = re.compile(r"[0-9a-f]{8}-")  # Label Studio puts the beginning of a random UUID before an uploaded file's name
_LOCAL = "?d="  # Label Studio's address of a file in local storage


def find_picture(name: str, pictures: Sequence[str]) -> str:
    """Return the one picture of the queue that a tool's file name stands for; "" where none or several may be meant.

    The whole name counts more than a common end of both paths, that more than the file's name alone, and that more
    than the file's name without an upload's prefix.
    """
    path = _plain(name)
    own = _file(path)
    same: tuple[Callable[[str], bool], ...] = (
        lambda picture: picture in (name, path),
        lambda picture: path.endswith(f"/{picture}") or picture.endswith(f"/{path}"),
        lambda picture: _file(picture) == own,
        lambda picture: _UPLOAD.match(own) is not None and _file(picture) == own[9:],
    )
    for fits in same:
        if found := [picture for picture in pictures if fits(picture)]:
            return found[0] if len(found) == 1 else ""
    return ""


def _plain(name: str) -> str:
    """Return the path in a name: with / for the backslash of Windows, %20 and the like decoded, without a query."""
    path = unquote(name.replace("\\", "/"))
    return path.partition(_LOCAL)[2] if _LOCAL in path else path.partition("?")[0]


def _file(path: str) -> str:
    return path.rpartition("/")[2].lower()
