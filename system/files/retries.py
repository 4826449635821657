"""Do again what failed for a moment only."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from system.faults import passes

NUM_ATTEMPTS = 8
WAIT_S = 0.05  # doubled at each attempt, times a random 0.5 to 1.5
STORES_OWN_S = 10.0  # a store's client that took longer has itself asked again until it gave up
log = logging.getLogger(__name__)

Result = TypeVar("Result")


def retried(do: Callable[[], Result], *, again: Callable[[Exception], bool], what: str) -> Result:
    """Return what `do` returns; while its error is one to try again after, wait and call it again, NUM_ATTEMPTS in all.

    A fault of a store that its client has already asked again about for STORES_OWN_S is raised at once.

    what: for the log; it must name no patient
    """
    for attempt in range(NUM_ATTEMPTS - 1):
        began = time.monotonic()
        try:
            return do()
        except Exception as error:
            if not again(error) or (passes(error) and time.monotonic() - began > STORES_OWN_S):
                raise
            wait_s = WAIT_S * 2**attempt * random.uniform(0.5, 1.5)  # jitter between writers; no result depends on it
            log.info("%s: %s, trying again in %.2f s", what, type(error).__name__, wait_s)
            time.sleep(wait_s)
    return do()
