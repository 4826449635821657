"""The plan is checked, and its digest stands for exactly it."""

import pytest
from pydantic import ValidationError

from system.continuous.plan import GatePlan, Plan, Subgroup, Subgroups, Triggers


def test_the_digest_changes_with_any_value_and_with_nothing_else() -> None:
    assert Plan().digest == Plan(triggers=Triggers()).digest
    others = [Plan(approval="R1"), Plan(triggers=Triggers(new_samples=201)), Plan(may_change=("labels",))]
    assert len({Plan().digest, *(plan.digest for plan in others)}) == 4


def test_weights_cannot_change_without_thresholds() -> None:
    with pytest.raises(ValidationError, match="thresholds must be in may_change"):
        Plan(may_change=("weights",))
    with pytest.raises(ValidationError):
        Plan.model_validate({"may_change": ["architecture"]})


def test_an_approver_has_a_name() -> None:
    assert (Plan().approver, Plan(approval=" R. Ansari ").approver) == ("", "R. Ansari")
    with pytest.raises(ValidationError, match="the name of the person"):
        Plan(approval=" ")


def test_looks_share_the_error_where_they_are_corrected() -> None:
    assert GatePlan(looks=10).used_confidence == pytest.approx(0.995)
    assert GatePlan(looks=10, after_looks="warn").used_confidence == pytest.approx(0.95)


def test_a_kind_of_group_has_its_limits_by_its_name() -> None:
    groups = Subgroups(density=None, lesion_size=Subgroup(margin=0.2))
    found = groups.of("lesion size")
    assert found is not None
    assert found.margin == pytest.approx(0.2)
    assert groups.of("density") is None
    assert groups.of("age") is None
