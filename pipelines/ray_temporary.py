"""Where Ray keeps its sockets, and whether that path is short enough; imports no Ray, so that doctor can ask first."""

import os
import tempfile

# Of a socket's path on Linux, sun_path of unix(7), without its end; Ray adds ray/session_DATE_TIME_PID/sockets/NAME.
LONGEST_SOCKET = 107
ADDED_BY_RAY = len("/ray/session_2026-11-25_21-46-57_660995_1234567/sockets/plasma_store")


def folder() -> str:
    """Return the folder under which Ray started on this machine puts its own."""
    return os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()


def mistake() -> str:
    """Return what is wrong with the folder, and what to do; "" for a usable one."""
    here = os.path.abspath(folder())  # noqa: PTH100 - Ray keeps symbolic links too
    longest = LONGEST_SOCKET - ADDED_BY_RAY
    if len(os.fsencode(here)) <= longest:
        return ""
    return (
        f"Ray's temporary folder has a path of {len(os.fsencode(here))} bytes, and sockets take {longest} at most: "
        "set RAY_TMPDIR to a short one, e.g. /tmp"
    )
