"""The memory of a sweep: an Optuna study, in a file of the sweep's folder or in a database that several drivers share.

`optuna-dashboard` and Optuna's own tools open it. Of each trial it holds the setting, the values epoch by epoch, how it
ended, and as attributes its folder, its seconds, why it failed, and which driver runs it.
"""

import fcntl
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from pipelines.sweep.places import TrialPlace, place_of
from system.errors import MachineFault, UserError
from system.faults import storage
from system.run.lock import is_held, taken
from tune_spaces import Choice, Domain, Setting, Space

FILE = "study.db"
SENSITIVITY, SECONDS = "sensitivity", "seconds"
Direction = StudyDirection | Literal["maximize", "minimize"]  # as Optuna takes it
OBJECTIVES: dict[str, Literal["maximize", "minimize"]] = {SENSITIVITY: "maximize", SECONDS: "minimize"}
"""What a sweep may look for: mean sensitivity on validation, 0 to 1, and the seconds that a trial takes."""
FOLDER, DRIVER, REASON = "folder", "driver", "reason"  # attributes of a trial, beside SECONDS
KNOWN = "known"  # attribute of what another sweep has measured
_WAIT_S = 60  # for another driver that writes into the same file
_REDUCTION = 3  # of the trials that reach a rung of ASHA, one in so many goes on
_DRAWN_FIRST = 10  # trials before the sampler looks at the earlier ones


def objectives_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return what a sweep looks for, sensitivity first. Raises UserError for an unknown name."""
    for name in names:
        if name not in OBJECTIVES:
            raise UserError(f"--objective {name!r} is none; choose {' or '.join(OBJECTIVES)}, or give both")
    return tuple(name for name in OBJECTIVES if name == SENSITIVITY or name in names)


def open_study(out: Path, *, url: str = "", name: str = "", objectives: Sequence[str] = (SENSITIVITY,)) -> optuna.Study:
    """Return the study of a sweep, made where it is not there yet.

    url: of a database, as Optuna and SQLAlchemy write it; "" = a file in the sweep's folder
    name: of the study; "" = the folder's

    Raises UserError for a URL or a study that cannot be used, MachineFault for a database that does not answer.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions: list[Direction] = [OBJECTIVES[each] for each in objectives]
    with storage(out):
        out.mkdir(parents=True, exist_ok=True)
    place = url or f"sqlite:///{(out / FILE).resolve()}"
    with in_words(of_url=bool(url)):
        options = {"connect_args": {"timeout": _WAIT_S}} if place.startswith("sqlite") else {"pool_pre_ping": True}
        kept = RDBStorage(place, engine_kwargs=options)
        study = optuna.create_study(
            storage=kept, study_name=name or out.resolve().name, directions=directions, load_if_exists=True
        )
    if [each.name.lower() for each in study.directions] != directions:
        raise UserError(
            f"study {study.study_name} was begun to {_looks_for(study)}: give the same --objective, or another --out"
        )
    return study


def _looks_for(study: optuna.Study) -> str:
    return " and ".join(f"{each.name.lower()} {name}" for each, name in zip(study.directions, OBJECTIVES, strict=False))


@contextmanager
def in_words(*, of_url: bool) -> Iterator[None]:
    """Turn what the study's database raises in the block into errors for people. of_url: it is that of --storage."""
    try:
        yield
    except Exception as error:
        if owned := of_database(error, of_url=of_url):
            raise owned from error
        raise


def of_database(error: BaseException, *, of_url: bool) -> UserError | MachineFault | None:
    """Return a database's error for people, None for another; the URL, which may hold a password, is not repeated."""
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    if isinstance(error, ArgumentError | NoSuchModuleError):
        return UserError(
            "--storage is no URL of a database: give sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    if of_url and isinstance(error, ImportError):
        missing = error.name or "its driver"
        return UserError(
            f"--storage names a database for which {missing} is not installed: `pip install 'mammoloop[postgres]'` has "
            "the one for postgresql://"
        )
    if isinstance(error, StorageInternalError | SQLAlchemyError):
        what = "the database of --storage" if of_url else f"{FILE} of the sweep"
        return MachineFault(
            f"{what} cannot be used ({type(error).__name__}): check that it is up, that name and password are right, "
            "that it may be written and has space, then give the same command again"
        )
    return None


@contextmanager
def driver_of(out: Path) -> Iterator[str]:
    """Give this driver's name, and hold a lock by which others see that it is at work; it ends with the process."""
    name = uuid.uuid4().hex[:12]
    with storage(out):
        folder = out / "drivers"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.lock"
        opened = path.open("w", encoding="utf8")
    with opened as lock:
        taken(lock)
        try:
            yield name
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def claiming(out: Path) -> Iterator[None]:
    """Hold the lock under which drivers take trials, so that no two take the same; waits for it."""
    with storage(out):
        out.mkdir(parents=True, exist_ok=True)
        opened = (out / "claim.lock").open("w", encoding="utf8")
    with opened as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_at_work(out: Path, driver: str) -> bool:
    """Return whether the driver of that name runs."""
    return bool(driver) and is_held(out / "drivers", lock=f"{driver}.lock")


def left_behind(study: optuna.Study, out: Path, *, but: str = "") -> list[FrozenTrial]:
    """Return the trials that a driver began and did not end, because it was killed or stopped, by number.

    but: a driver at work, whatever its lock says. To take one, look and take under the lock of `claiming`.
    """
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    drivers = {trial.number: trial.user_attrs.get(DRIVER, "") for trial in running}
    at_work = ({but} | {driver for driver in set(drivers.values()) if is_at_work(out, driver)}) - {""}
    return [trial for trial in running if drivers[trial.number] not in at_work]


def begun(study: optuna.Study) -> list[FrozenTrial]:
    """Return the sweep's own trials that are begun or ended, by number; those that only wait are left out."""
    states = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    found = study.get_trials(deepcopy=False, states=states)
    return [trial for trial in found if KNOWN not in trial.user_attrs]


def place_of_trial(out: Path, trial: FrozenTrial) -> TrialPlace:
    """Return where a trial lies."""
    return TrialPlace(out, trial.user_attrs.get(FOLDER) or place_of(out, trial.params).folder)


def enqueue(study: optuna.Study, settings: Sequence[Setting]) -> None:
    """Have settings tried before anything is drawn; one that the study has already is left out."""
    known = [dict(trial.params) for trial in study.get_trials(deepcopy=False)]
    known += [dict(trial.system_attrs.get("fixed_params", {})) for trial in study.get_trials(deepcopy=False)]
    for setting in settings:
        if dict(setting) not in known:
            known.append(dict(setting))
            study.enqueue_trial(dict(setting))


def sampler(space: Space, *, seed: int) -> TPESampler:
    """Return what draws the next setting: a tree of Parzen estimators over all keys together (Bergstra et al. 2011).

    seed: of this one draw: a sweep that goes on draws what it would have drawn
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # `group`, which keys that are varied at times need
        return TPESampler(
            seed=seed,
            n_startup_trials=_DRAWN_FIRST,
            multivariate=True,
            group=bool(space.only_if),
            constant_liar=True,
        )


def pruner(*, stops_early: bool, grace: int) -> BasePruner:
    """Return what ends trials early: asynchronous successive halving (Li et al. 2020), or nothing.

    Its memory is the study, so that it holds over drivers and restarts. grace: epochs that every trial gets
    """
    return SuccessiveHalvingPruner(min_resource=grace, reduction_factor=_REDUCTION) if stops_early else NopPruner()


def tell_known(study: optuna.Study, known: Sequence[tuple[Setting, Sequence[float]]], space: Space) -> None:
    """Tell a study of settings that another sweep has measured; they are no trials of this one.

    known: inside the space, each with a value for each objective
    """
    for setting, values in known:
        study.add_trial(
            create_trial(
                params=dict(setting),
                distributions={key: _distribution(space.domains[key]) for key in setting},
                values=list(values),
                user_attrs={KNOWN: True},
            )
        )


def _distribution(domain: Domain) -> BaseDistribution:
    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.values)
    if domain.whole:
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log, step=int(domain.step) or 1)
    return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step or None)
