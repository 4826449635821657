"""The gate against systems whose differences are known: better, equal, worse, and worse in one group alone."""

import numpy as np
import pytest
from scipy import sparse

from system.continuous.gate import ALL, Compared, compare, judge
from system.continuous.plan import GatePlan, Plan, Subgroup, Subgroups
from system.metrics import FrocConfig, PatientCounts

CONFIG = FrocConfig(fppi=(1.0,), bootstrap=200)
DENSITY_ONLY = Subgroups(density=Subgroup(margin=0.1, min_lesions=20), view=None, source=None, lesion_size=None)
PLAN = Plan(gate=GatePlan(margin=0.05, looks=20, subgroups=DENSITY_ONLY))
NUM = 200


def counts(found: np.ndarray) -> PatientCounts:
    """Return one lesion and one image a patient, found or not, without a false positive."""
    hits = sparse.csr_array(np.asarray(found, dtype=np.float64)[None])
    none = sparse.csr_array((1, len(found)))
    one = np.ones(len(found), dtype=np.int64)
    return PatientCounts(tuple(f"{place:04d}" for place in range(len(found))), one, one, hits, none)


def models(promoted: np.ndarray, candidate: np.ndarray, *, dense: np.ndarray) -> tuple[Compared, ...]:
    def parts(found: np.ndarray) -> dict[tuple[str, str], PatientCounts]:
        return {
            (ALL, ""): counts(found),
            ("density", "a"): counts(found[~dense]),
            ("density", "d"): counts(found[dense]),
            ("view", "CC"): counts(found),
        }

    return compare(parts(promoted), parts(candidate), gate=PLAN.gate, config=CONFIG)


DENSE = np.arange(NUM) < 60
PROMOTED = np.arange(NUM) % 2 == 0


def test_a_better_model_is_promoted_with_its_numbers() -> None:
    better = PROMOTED | (np.arange(NUM) % 5 == 1)
    found = judge(models(PROMOTED, better, dense=DENSE), plan=PLAN, looks=3)
    assert (found.verdict, found.look, found.confidence) == ("promoted", 4, pytest.approx(0.9975))
    assert [each.kind for each in found.compared] == [ALL, "density", "density"]
    assert found.compared[0].difference == pytest.approx(0.1)
    assert "all lesions (200): 0.500 to 0.600, +0.100" in found.reason


def test_the_same_model_is_not_worse() -> None:
    assert judge(models(PROMOTED, PROMOTED, dense=DENSE), plan=PLAN, looks=0).verdict == "promoted"


def test_a_worse_model_is_refused() -> None:
    worse = PROMOTED & (np.arange(NUM) % 10 != 0)
    found = judge(models(PROMOTED, worse, dense=DENSE), plan=PLAN, looks=0)
    assert found.verdict == "refused"
    assert found.reason.startswith("all lesions (200): 0.500 to 0.400")


def test_a_model_that_is_worse_in_dense_breasts_alone_is_refused_by_that_group() -> None:
    mixed = np.where(DENSE, PROMOTED & (np.arange(NUM) % 6 != 0), True)
    found = judge(models(PROMOTED, mixed, dense=DENSE), plan=PLAN, looks=0)
    assert found.compared[0].passed
    assert found.verdict == "refused"
    assert found.reason.startswith("density d (60)")


def test_a_group_with_too_few_lesions_is_shown_and_decides_nothing() -> None:
    few = np.arange(NUM) < 19
    compared = models(PROMOTED, np.where(few, False, PROMOTED | (np.arange(NUM) % 3 == 0)), dense=few)
    assert not compared[2].passed
    assert not compared[2].decides
    assert judge(compared, plan=PLAN, looks=0).verdict == "promoted"


def test_a_plan_with_an_approver_holds_what_passes() -> None:
    plan = PLAN.changed(approval="R. Ansari")
    found = judge(models(PROMOTED, PROMOTED, dense=DENSE), plan=plan, looks=0)
    assert found.verdict == "held"
    assert found.reason.endswith("waits for approval by R. Ansari")


def test_beyond_the_looks_nothing_is_promoted_where_they_are_corrected() -> None:
    same = models(PROMOTED, PROMOTED, dense=DENSE)
    assert judge(same, plan=PLAN, looks=20).verdict == "refused"
    warned = PLAN.changed(gate=PLAN.gate.changed(after_looks="warn"))
    assert judge(same, plan=warned, looks=20).verdict == "promoted"


def test_without_a_lesion_nothing_is_promoted() -> None:
    found = counts(np.zeros(5, dtype=bool))
    nothing = PatientCounts(found.patients, found.images, np.zeros(5, dtype=np.int64), found.found, found.false)
    compared = compare({(ALL, ""): nothing}, {(ALL, ""): nothing}, gate=PLAN.gate, config=CONFIG)
    judged = judge(compared, plan=PLAN, looks=0)
    assert (judged.verdict, judged.reason) == ("refused", "all: no lesion to compare by")
