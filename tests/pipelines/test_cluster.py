"""A cluster that cannot be started is refused, and its token is its owner's alone."""

import stat
from pathlib import Path

import pytest

from pipelines import cluster
from system.errors import UserError
from system.resources import ClusterResources


def test_a_cluster_is_not_started_where_its_sockets_have_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.ray, "is_initialized", lambda: False)
    monkeypatch.setenv("RAY_TMPDIR", "/" + 90 * "x")
    with (
        pytest.raises(UserError, match=r"path of 91 bytes, and sockets take \d+ at most: set RAY_TMPDIR"),
        cluster.session(ClusterResources(address="local")),
    ):
        pytest.fail("a session without a cluster")


@pytest.mark.parametrize(("before", "after"), [(0o644, 0o600), (0o660, 0o600), (0o400, 0o400)])
def test_rays_token_is_for_its_owner_alone(tmp_path: Path, before: int, after: int) -> None:
    token = tmp_path / "auth_token"
    token.write_text("secret")
    token.chmod(before)
    cluster.keep_token_private(token)
    assert stat.S_IMODE(token.stat().st_mode) == after
    cluster.keep_token_private(tmp_path / "none")
