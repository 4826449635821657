"""What the gate judges by: the counts of a system on the plan's patients, over all and in each group."""

from system.continuous.gate import ALL, Compared, compare
from system.continuous.plan import GatePlan
from system.evaluation.read_back import groups_of, patient_counts
from system.metrics import FrocConfig, PatientCounts
from system.run.results import FrocResult
from system.run.stage import Stage
from system.run.systems import System


def evidence(promoted: System, candidate: System, *, gate: GatePlan, config: FrocConfig) -> tuple[Compared, ...]:
    """Return a candidate beside the promoted model on the plan's patients, as each was measured by its run.

    config: the run's rules

    Raises NotFinished for a system that is not measured, UserError where patients or lesions differ.
    """
    both = [_counts(_measured(system, gate), config=config) for system in (promoted, candidate)]
    return compare(both[0], both[1], gate=gate, config=config)


def _measured(system: System, gate: GatePlan) -> Stage[FrocResult]:
    return system.froc() if gate.split == "test" else system.validated


def _counts(stage: Stage[FrocResult], *, config: FrocConfig) -> dict[tuple[str, str], PatientCounts]:
    groups = {(group.kind, group.name): group.counts(config=config) for group in groups_of(stage)}
    return {(ALL, ""): patient_counts(stage, config=config), **groups}
