"""How precise a measurement can be with so many cases, before it is made."""

import math

_Z = 1.959964  # of a 95 % interval


def wilson(share: float, *, num_cases: int) -> tuple[float, float]:
    """Return the 95 % interval of a share that was found in so many independent cases.

    share: 0 to 1;  num_cases: 1 or more

    Wilson 1927, JASA 22:209; recommended for few cases by Brown, Cai and DasGupta 2001, Statistical Science 16:101.
    """
    squared = _Z**2
    centre = (share + squared / (2 * num_cases)) / (1 + squared / num_cases)
    half = _Z * math.sqrt(share * (1 - share) / num_cases + squared / (4 * num_cases**2)) / (1 + squared / num_cases)
    return centre - half, centre + half


def surest(num_cases: int) -> float:
    """Return how sure one can be at most of something that was right in all of so many cases: 0 to 1.

    The lower end of the 95 % interval by the rule of three, 1 - 3/n: Hanley and Lippman-Hand 1983, JAMA 249:1743.
    """
    return max(0.0, 1 - 3 / num_cases) if num_cases else 0.0
