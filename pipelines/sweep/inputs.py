"""What the trials of a sweep start from: checked, and written down, before anything is started."""

from dataclasses import dataclass
from pathlib import Path

from pipelines.experiments.claim import claim
from system.archive import Archive
from system.config import RunConfig, as_yaml
from system.errors import UserError
from system.nets import read_card
from system.run.folder import RunFolder
from tune_spaces import KINDS, Space

DESCRIPTION = "sweep.yaml"  # in the sweep's folder: what it was begun for


@dataclass(frozen=True)
class SweepInputs:
    """What all trials of a sweep share; travels to the workers."""

    out: Path  # the sweep's folder, absolute
    kind: str  # of its trials: key of tune_spaces.KINDS
    archive: Archive  # pinned to the versions that the run began with, on which all is measured
    base: RunConfig  # the configuration, before a trial's settings
    config: RunConfig  # the same, as trials are judged
    source: Path  # folder of the run that the trials start from, absolute
    round_number: int  # of which the pools, or the maps that it was mined with, are taken; from 1
    varied: tuple[str, ...]  # dotted keys

    @property
    def run(self) -> RunFolder:
        """The run that the trials start from."""
        return RunFolder(self.source)

    @property
    def read_by_round(self) -> Archive:
        """The archive as the round read it that is retrained: one of a later chapter knows more images."""
        return self.archive.pinned(self.run.chapter_of(self.round_number).archive_pin.result().versions)


def prepare(  # noqa: PLR0913 - where from, where to, what, from which settings
    source: Path,
    archive_uri: str,
    out: Path,
    *,
    space: Space,
    space_name: str,
    config: RunConfig,
    round_number: int = 1,
) -> SweepInputs:
    """Look up what the trials start from, and claim the sweep's folder. Needs no Ray.

    source: folder of a run;  archive_uri: where its archive lies now, "" = where it lay
    space: fitted to the configuration, its kind that of the trials

    Raises UserError where the run, the configuration or the folder does not fit.
    """
    run = RunFolder(source.resolve())
    if not run.archive_pin.finished:
        raise UserError(f"run {run.name} is not pinned to an archive yet: begin it with `mammoloop selftrain` first")
    _NEEDED[space.kind](run, config, round_number)
    base = config
    if space.kind == "refine":
        thresholds = run.before(round_number).thresholds.result()
        refine = config.infer.refine
        if not isinstance(refine.mask_threshold, float):  # chosen for the model whose maps they are
            refine = refine.changed(mask_threshold=thresholds.mask_threshold)
        config = config.changed(
            infer=config.infer.changed(refine=refine),
            froc=config.froc.changed(regions="mask", candidates="threshold"),  # what is judged is the masks
        )
    archive = run.measured_archive(uri=archive_uri)
    inputs = SweepInputs(out.resolve(), space.kind, archive, base, config, run.path, round_number, tuple(space.domains))
    does, what = KINDS[space.kind].does, f"round {round_number} of run {run.identity}"
    claim(
        inputs.out / DESCRIPTION,
        f"# sweep of {space_name} on {what}; a trial {does}\n{as_yaml(config.of_run())}",
        what="sweep",
    )
    return inputs


def _for_stage1(_run: RunFolder, _config: RunConfig, _round_number: int) -> None:
    """Nothing but the archive is needed."""


def _for_loop(run: RunFolder, config: RunConfig, _round_number: int) -> None:
    _check_network(run, config)
    run.stage1.checkpoint.result()


def _for_retrain(run: RunFolder, config: RunConfig, round_number: int) -> None:
    pools = run.round(round_number).pools
    if not pools.finished:
        raise UserError(
            f"run {run.name} has no finished pools of round {round_number}: finish it with `mammoloop selftrain` first"
        )
    for p0 in config.rounds.p0.values(config.rounds.train.num_epochs):
        pools.result().pool_of(p0)
    run.stage1.checkpoint.result()
    _check_network(run, config, round_number=round_number)


def _for_refine(run: RunFolder, _config: RunConfig, round_number: int) -> None:
    system = run.before(round_number)
    if not (system.held_out.finished and system.thresholds.finished):
        raise UserError(
            f"run {run.name} has no maps of {system.title} on validation: finish it with `mammoloop selftrain` first"
        )


def _check_network(run: RunFolder, config: RunConfig, *, round_number: int = 1) -> None:
    card = read_card(run.before(round_number).model)
    if (card.method, card.net["backbone"]) != (config.method, config.net.backbone):
        raise UserError(
            f"run {run.name} trained {card.method} on {card.net['backbone']}, the config has {config.method} on "
            f"{config.net.backbone}: take the preset and the settings of the run"
        )


_NEEDED = {"stage1": _for_stage1, "retrain": _for_retrain, "loop": _for_loop, "refine": _for_refine}
"""Kind of trial → what checks that the run has what such trials start from."""
