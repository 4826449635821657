"""Durations for people."""

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


def duration_in_words(duration_s: float) -> str:
    """Return a duration in its two largest units: "42 s", "3 min 5 s", "2 h 4 min", "1 d 3 h".

    Below zero counts as zero: clocks of nodes differ.
    """
    seconds = max(0, round(duration_s))
    if seconds < _MINUTE_S:
        return f"{seconds} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S} min {seconds % _MINUTE_S} s"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S} h {seconds % _HOUR_S // _MINUTE_S} min"
    return f"{seconds // _DAY_S} d {seconds % _DAY_S // _HOUR_S} h"
