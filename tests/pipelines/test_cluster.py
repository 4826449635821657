"""A cluster that is not there is the user's to start, and said so."""

import pytest

from pipelines import cluster
from system.errors import UserError
from system.resources import ClusterResources


def test_an_address_at_which_no_cluster_answers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(**_: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(cluster.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(cluster.ray, "init", nobody)
    with (
        pytest.raises(UserError, match=r"no Ray cluster answers there \(Could not find any running Ray instance\.\)"),
        cluster.session(ClusterResources(address="auto")),
    ):
        pytest.fail("a session without a cluster")
