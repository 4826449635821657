"""What Ray Tune, the study and the page cost: a sweep against the same trials one after another without them.

python benchmarks/sweep.py --demo out/demo                 # a finished `mammoloop demo`; 3 trials, 3 turns
python benchmarks/sweep.py --demo out/demo --steps 10 --trials 2 --turns 1

Both retrain on the frozen pools of round 1, one trial at a time, in one Ray; turns alternate. The ratio is of the
medians. The bare loop calls what a trial calls, and nothing else.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from pipelines.cluster import session
from pipelines.sweep import run as sweep
from pipelines.sweep.inputs import SweepInputs, prepare
from pipelines.sweep.perform import Task, perform
from pipelines.sweep.places import place_of
from pipelines.sweep.run import SweepPlan
from system.config import RunConfig, resolve
from system.run.folder import RunFolder
from tune_spaces import Choice, Space


def main() -> None:
    """Print seconds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, required=True, help="folder of a finished demo")
    parser.add_argument("--steps", type=int, default=40, help="of an epoch; the demo's rounds have three epochs")
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    settings = [f"rounds.train.steps_per_epoch={options.steps}", "resources.cluster.dashboard=true"]
    config = resolve(RunFolder(options.demo / "run").config(), settings=settings)
    alphas = tuple(round(0.3 + 0.1 * number, 2) for number in range(options.trials))
    space = Space({"loss.alpha": Choice(alphas)}, grid=True)
    seconds: dict[str, list[float]] = {"bare": [], "sweep": []}
    with tempfile.TemporaryDirectory() as text, session(config.resources.cluster):
        for turn in range(options.turns + 1):  # the first, which imports everything, is not counted
            for name in ("bare", "sweep") if turn % 2 else ("sweep", "bare"):
                inputs = _inputs(options.demo, Path(text) / f"{name}_{turn}", space, config)
                began_s = time.monotonic()
                if name == "bare":
                    for setting in space.points():
                        perform(inputs, Task(setting, place_of(inputs.out, setting), seed=0))
                else:
                    sweep.run(inputs, space, SweepPlan(options.trials, concurrent=1))
                took_s = time.monotonic() - began_s
                if turn:
                    seconds[name].append(took_s)
                    print(f"turn {turn}, {name}: {took_s:.1f} s", flush=True)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{options.trials} trials: bare {medians['bare']:.1f} s, sweep {medians['sweep']:.1f} s", end="; ")
    print(f"ratio {medians['sweep'] / medians['bare']:.3f} (target at most 1.15)")


def _inputs(demo: Path, out: Path, space: Space, config: RunConfig) -> SweepInputs:
    return prepare(demo / "run", str(demo / "archive"), out, space=space, space_name="benchmark", config=config)


if __name__ == "__main__":
    main()
