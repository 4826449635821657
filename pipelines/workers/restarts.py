"""Actors of Ray Data that are not started again for ever."""

import warnings
from typing import Any

import ray.data
from ray.util.annotations import RayDeprecationWarning

RESTARTS = 10
"""Of each actor that is killed, in one start of a command.

Ray Data's own is for ever: one that dies each time as it starts, for want of memory perhaps, would keep its command for
ever. So it ends with 75, and one on a node that is taken away now and then goes on.
"""


def by_actors(data: ray.data.Dataset, actor: type[object], **options: Any) -> ray.data.Dataset:
    """Return `data.map_batches(actor, **options)` with RESTARTS."""
    with warnings.catch_warnings():
        # Ray 2.60 has no other way to say it, and takes this one away in 2.64.
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return data.map_batches(actor, max_restarts=RESTARTS, **options)
