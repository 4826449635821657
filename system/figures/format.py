"""Numbers as text, the same on the terminal and on the page."""

import math


def share(value: float) -> str:
    """Return a share with three decimals, a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def signed(value: float) -> str:
    """Return a difference of shares with its sign, a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:+.3f}".replace("-", "−")


def interval(ends: tuple[float, float]) -> str:
    """Return an interval of shares, a dash where it has no ends."""
    return "–" if any(math.isnan(end) for end in ends) else f"{share(ends[0])} to {share(ends[1])}"


def signed_interval(ends: tuple[float, float]) -> str:
    """Return an interval of differences, a dash where it has no ends."""
    return "–" if any(math.isnan(end) for end in ends) else f"{signed(ends[0])} to {signed(ends[1])}"


def number(value: float | str) -> str:
    """Return any value as text: four significant digits for a float, thousands apart for a count."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}") if isinstance(value, int) else value


def count(value: float) -> str:
    """Return a whole number as text, thousands apart, a dash for NaN."""
    return "–" if math.isnan(value) else number(int(value))
