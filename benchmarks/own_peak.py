"""Candidates from half of their own peak on, beside those of one threshold: milliseconds a map of 1024 x 800.

python benchmarks/own_peak.py    target: at most a few times `components` where most of a map is negligible

Three kinds of maps: masses alone; masses in a background above what is negligible; noise without masses.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from system.maps import components, upsample
from system.own_peak import own_peak_components

SHAPE, MIN_PX = (1024, 800), 20


def main() -> None:
    """Print how long each kind takes."""
    for kind, coarse in maps().items():
        probability = upsample(coarse, shape=SHAPE)
        whole, num = least_ms(lambda p=probability: len(components(p >= 0.05, min_px=MIN_PX).area_px))
        own, num_own = least_ms(lambda p=probability: len(own_peak_components(p, min_px=MIN_PX)[1]))
        print(f"{kind}: threshold {whole:.1f} ms, {num} candidates; own peak {own:.1f} ms, {num_own} candidates")


def maps() -> dict[str, np.ndarray]:
    """Return the kinds of maps, [256, 200] float32."""
    rng = np.random.default_rng(0)
    y, x = np.indices((256, 200))
    masses = np.zeros((256, 200), dtype=np.float32)
    for _ in range(12):
        distance = np.hypot(y - rng.integers(10, 246), x - rng.integers(10, 190))
        masses = np.maximum(masses, rng.random() * np.exp(-((distance / 6) ** 2)))
    noise = rng.random((256, 200))
    found = {"masses": masses, "masses, background .02": masses + 0.02 + 0.005 * noise, "noise": 0.3 * noise**3}
    return {kind: coarse.clip(0, 1).astype(np.float32) for kind, coarse in found.items()}


def least_ms(do: Callable[[], int], *, repeats: int = 5) -> tuple[float, int]:
    """Return the shortest of some repeats, and what was done."""
    result, times = do(), []
    for _ in range(repeats):
        start = time.perf_counter()
        result = do()
        times.append(1000 * (time.perf_counter() - start))
    return min(times), result


if __name__ == "__main__":
    main()
