"""`--confirm`: the best settings of a search, and the one it is held against, trained anew with fresh seeds.

The best of many on the same validation patients is flattered by the choice; with fresh seeds it is not.
"""

import logging
import statistics
from collections.abc import Sequence

import ray

from pipelines.ray_errors import plain_cause
from pipelines.sweep.inputs import SweepInputs
from pipelines.sweep.measured import counts_of, gain_of
from pipelines.sweep.perform import Task
from pipelines.sweep.places import TrialPlace, place_of
from pipelines.sweep.tuning import performing
from system.figures.sweep_rows import Confirmed, SweepTrial
from system.place import PLACE

log = logging.getLogger(__name__)


def places_again(inputs: SweepInputs, trial: SweepTrial, *, seeds: int) -> list[TrialPlace]:
    """Return where a setting's trainings with fresh seeds lie, seed by seed."""
    name = place_of(inputs.out, trial.setting).path.name
    return [TrialPlace(inputs.out, f"confirm/{name}/seed_{seed}") for seed in range(1, seeds + 1)]


def confirm(
    inputs: SweepInputs, trials: Sequence[SweepTrial], *, start: SweepTrial, seeds: int, at_once: int
) -> list[Confirmed]:
    """Train the settings of trials, the start among them, with fresh seeds; what is done already is read.

    Returns them by falling mean. Raises what a training raises.
    """
    wanted = {trial.number: trial for trial in [start, *trials]}
    places = {number: places_again(inputs, trial, seeds=seeds) for number, trial in wanted.items()}
    tasks = [
        Task(wanted[number].setting, place, seed=1000 * seed)  # far from the search's, and from each round's
        for number, found in places.items()
        for seed, place in enumerate(found, start=1)
    ]
    _perform_all(inputs, [task for task in tasks if not task.place.result.finished], at_once=at_once)
    counts = {number: [counts_of(inputs, place) for place in found] for number, found in places.items()}
    rows = []
    for number, trial in wanted.items():
        each = [place.result.result().mean for place in places[number]]
        gain, interval = gain_of(inputs, counts[start.number], counts[number])
        rows.append(
            Confirmed(
                number=number,
                setting=trial.setting,
                is_start=number == start.number,
                each=each,
                mean=statistics.fmean(each),
                sd=statistics.stdev(each) if len(each) > 1 else float("nan"),
                gain=gain,
                gain_interval=interval.pair(),
            )
        )
    return sorted(rows, key=lambda row: -row.mean)


def _perform_all(inputs: SweepInputs, tasks: Sequence[Task], *, at_once: int) -> None:
    outside, waiting, under_way, done = performing(inputs), list(tasks), [], 0
    if tasks:
        log.info("%d trainings with fresh seeds, %d at once", len(tasks), at_once)
    try:
        while waiting or under_way:
            while waiting and len(under_way) < at_once:
                task = waiting.pop(0)
                task.place.begin(task.setting)
                under_way.append(outside.remote(inputs, task))
            ended, under_way = ray.wait(under_way)
            for each in ended:
                result = ray.get(each)
                done += 1
                PLACE.how_far = f"{done} of {len(tasks)} trainings with fresh seeds done"
                log.info("%s; this one reached %.3f", PLACE.how_far, result.mean)
    except Exception as error:
        raise plain_cause(error) from error
