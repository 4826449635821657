"""Draw the strikes of a seed: what is struck where, when and by what. Pure; strike n depends on seed and n alone."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Place = Literal["folder", "bucket"]
"""Where the archive and the miner's journal lie."""

Victim = Literal["driver", "raylet", "worker", "miner", "reader", "decoder", "predictor", "trainer", "disk", "store"]
"""A process of the command, the disk that it writes to, or the store that its archive lies in."""

Fault = Literal["KILL", "STOP", "HALT", "TERM", "full", "503", "slow", "cut", "412"]
"""STOP ends with CONT after a pause, HALT never does; full is of the disk; the last four are of the store."""

SIGNALS: tuple[Fault, ...] = ("KILL", "STOP", "HALT", "TERM")
STORE_FAULTS: tuple[Fault, ...] = ("503", "slow", "cut", "412")

# Of (step, stage): the processes that are there. Stage "" = the whole command. The steps are those of words.py.
TARGETS: dict[tuple[str, str], tuple[Victim, ...]] = {
    ("ingest", ""): ("driver", "raylet", "worker", "reader"),
    ("retry", ""): ("driver", "raylet", "worker", "reader"),
    ("reports", ""): ("driver",),
    ("label", ""): ("driver", "raylet", "worker"),
    ("ingest-again", ""): ("driver", "raylet"),
    ("relabel", ""): ("driver", "raylet", "worker"),
    ("selftrain", "stage1/checkpoint"): ("driver", "raylet", "worker", "trainer"),
    ("selftrain", "stage1/held_out"): ("driver", "raylet", "worker", "decoder", "predictor"),
    ("selftrain", "stage1/froc"): ("driver", "raylet"),
    ("selftrain", "round_01/predictions"): ("driver", "raylet", "worker", "decoder", "predictor"),
    ("selftrain", "round_01/pools"): ("driver", "raylet", "worker", "miner"),
    ("selftrain", "round_01/checkpoint"): ("driver", "raylet", "worker", "trainer"),
    ("selftrain", "round_01/froc"): ("driver", "raylet"),
    ("infer", "round_01/predictions"): ("driver", "raylet", "worker", "decoder", "predictor"),
    ("review", ""): ("driver",),
    ("watch", ""): ("driver", "raylet", "worker", "reader", "decoder", "predictor", "miner", "trainer"),
}
# The shares of the kinds of strikes, and how many of the signals go to a command whose archive lies in a bucket.
KINDS: tuple[str, ...] = ("signal", "disk", "store")
SHARES = (0.65, 0.15, 0.2)
SIGNALS_WITH_A_BUCKET = 0.2
PAUSE_S = (1.0, 30.0)  # of STOP, and of a fault of the store


@dataclass(frozen=True, slots=True)
class Moment:
    """When to strike: after a share of the stage's time in the calm run, or of the lines it logged."""

    by: Literal["time", "line"]
    at: float  # 0 to 1


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault that one command gets once."""

    number: int  # from 1
    place: Place
    step: str
    stage: str  # of a run; "" = the whole command
    victim: Victim
    fault: Fault
    moment: Moment  # of a full disk: the share of what the stage writes that still has room
    pick: float  # 0 to 1: which of several victims
    pause_s: float

    @property
    def where(self) -> str:
        """The step, and the stage in it."""
        return f"{self.step} {self.stage}".strip()


def draw(seed: int, number: int) -> Strike:
    """Return a seed's strike of this number, from 1."""
    rng = np.random.default_rng([seed, number])
    (step, stage), victims = list(TARGETS.items())[rng.integers(len(TARGETS))]
    place: Place = "folder"
    match KINDS[rng.choice(len(KINDS), p=SHARES)]:
        case "disk":
            victim, fault = "disk", "full"
        case "store":
            place, victim, fault = "bucket", "store", STORE_FAULTS[rng.integers(len(STORE_FAULTS))]
        case _:
            place = "bucket" if rng.random() < SIGNALS_WITH_A_BUCKET else "folder"
            victim, fault = victims[rng.integers(len(victims))], SIGNALS[rng.integers(len(SIGNALS))]
    moment = Moment("time" if rng.random() < 0.5 else "line", float(rng.random()))
    pause_s = float(rng.uniform(*PAUSE_S))
    return Strike(number, place, step, stage, victim, fault, moment, pick=float(rng.random()), pause_s=pause_s)
