"""What tests share: a small local Ray cluster, and the place of the shared data."""

import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import requests
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parent.parent
DEAF_PROXY = ROOT / "tests" / "system" / "archive" / "deaf_proxy.py"
STORE_PATIENCE_S = 60
LONGEST_TEMPORARY_PATH = 40  # Ray puts unix sockets ~60 characters deeper, and the kernel takes 107 in all


def short_temporary_folder() -> Path:
    """Return a new folder whose path leaves room for the socket names of Ray."""
    parent = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="ml", dir=parent if len(parent) < LONGEST_TEMPORARY_PATH else "/tmp"))


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Path]:
    """Run one local cluster of 8 logical CPUs for the whole session and give its temporary folder.

    8, because with as few as a laptop has, actors and the tasks that decode for them wait for each other.
    """
    import ray

    folder = short_temporary_folder()
    patch = pytest.MonkeyPatch()
    patch.setenv("HOME", str(folder))  # the authentication token is written under it
    patch.setenv("RAY_TMPDIR", str(folder))
    patch.setenv("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Ray gives its workers a low priority (niceness 15): on a busy machine they would hardly get any time.
    patch.setenv("RAY_worker_niceness", "0")
    patch.setenv("OMP_NUM_THREADS", "1")
    patch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.25")  # 2 s otherwise, as long as a tiny training takes
    patch.setenv("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # a process for each training; no node is drained here
    patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])))
    _start_ray(folder)
    yield folder
    ray.shutdown()
    patch.undo()
    shutil.rmtree(folder, ignore_errors=True)


def _start_ray(folder: Path, *, attempts: int = 3) -> None:
    """Start the cluster; on a busy machine a node may need more than Ray's fixed 30 s, so it is tried again."""
    import ray

    for left in reversed(range(attempts)):
        try:
            ray.init(
                address="local",
                num_cpus=8,
                include_dashboard=False,
                object_store_memory=200 * 1024**2,
                logging_level=logging.WARNING,
                log_to_driver=False,
                _temp_dir=str(folder),
            )
        except Exception:  # the class that Ray raises
            ray.shutdown()
            if not left:
                raise
        else:
            return


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a maker of untrained networks for views of 64 x 64 px, whose maps are near 0.5 everywhere."""
    import torch

    from system.methods import METHODS
    from system.nets import ModelCard, NetConfig, write_model

    def make(*, classifies: bool) -> Path:
        torch.manual_seed(5)
        net = NetConfig(backbone="hrnet_w18_small", pretrained=False, prior=0.5)
        folder = tmp_path_factory.mktemp("checkpoint")
        card = ModelCard(method="btv", net=net.model_dump(), height_px=64, width_px=64, classifies=classifies)
        write_model(folder, METHODS["btv"].build(net).state_dict(), card)
        return folder

    return make


@pytest.fixture(scope="session")
def checkpoint(untrained: Callable[..., Path]) -> Path:
    """Return the folder of an untrained network that also judges whole images."""
    return untrained(classifies=True)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Run an S3 server in a process of its own: deltalake blocks the interpreter while it waits for an answer."""
    port = free_port()
    yield from served([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port=port)


@pytest.fixture
def deaf_server(server: str) -> Iterator[str]:
    """The same server behind a proxy that drops the condition of a put."""
    port = free_port()
    yield from served([sys.executable, str(DEAF_PROXY), str(port), server], port=port)


def served(command: list[str], *, port: int) -> Iterator[str]:
    """Run a server on a port of this machine and give its address."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + STORE_PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert process.poll() is None, "the server did not start"
            assert time.monotonic() < deadline, "the server did not answer"
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def bucket(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a fresh bucket and point the environment at it."""
    for name, value in _environment(server, tmp_path).items():
        monkeypatch.setenv(name, value)
    name = tmp_path.name.replace("_", "-").lower()
    requests.put(f"{server}/{name}", timeout=10)
    return f"s3://{name}/archive"


def _environment(endpoint: str, folder: Path) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        "MAMMOLOOP_SITE_KEY_FILE": str(folder / "site.key"),
    }


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder with real mammograms and schemas, or skip where it is absent."""
    folder = Path(os.environ.get("MAMMOLOOP_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder.name}: set MAMMOLOOP_SHARED to its folder")
    return folder


@pytest.fixture(scope="session")
def ray_environment() -> Iterator[Mapping[str, str]]:
    """Give the environment in which a test starts a driver of its own, with a cluster apart from the session's."""
    folder = short_temporary_folder()
    changes = {
        "HOME": str(folder),
        "RAY_TMPDIR": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "OMP_NUM_THREADS": "1",
    }
    yield (
        dict(os.environ)
        | changes
        | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))}
    )
    shutil.rmtree(folder, ignore_errors=True)
