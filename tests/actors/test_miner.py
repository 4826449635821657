import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.miner import Miner
from system.files.bucket import get
from system.mining import Columns, LabelUpdate, Pools, Shard, UpdateSource, read_pool
from system.mining.journal import Superseded
from system.schemas import PREDICTIONS


def shard(run: Path, number: int, *, round_number: int = 1, num_rows: int = 20) -> Shard:
    """A shard and the predictions file it was read from."""
    rng = np.random.default_rng([number, round_number])
    keys = np.arange(num_rows, dtype=np.int64) + 1000 * number
    has_mask = rng.random(num_rows) < 0.5
    pngs = [b"png %d" % key if masked else None for key, masked in zip(keys, has_mask, strict=True)]
    facts = [
        {"image_key": int(key), "image_id": f"id{key}", "map_png": png, "mask_png": png}
        for key, png in zip(keys, pngs, strict=True)
    ]
    predictions_file = f"round_{round_number:02d}/part_{number}.parquet"
    (run / predictions_file).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.Table.from_pylist([dict.fromkeys(PREDICTIONS.names) | fact for fact in facts], schema=PREDICTIONS),
        run / predictions_file,
    )
    p_mass, score = rng.random(num_rows).astype(np.float32), rng.random(num_rows).astype(np.float32)
    return Shard(round_number, number, 1, predictions_file, Columns(keys, p_mass, score, has_mask))


def send(miner: Miner, message: Shard | LabelUpdate, *, driver: int) -> bool:
    """Send a message of either type to the miner."""
    if isinstance(message, Shard):
        return miner.offer(message, driver=driver)
    return miner.update_labels(message, driver=driver)


class ClaimedMiner:
    """A miner, and a driver that has just claimed it."""

    def __init__(self, folder: Path) -> None:
        self.miner = Miner(str(folder))
        self.driver = self.miner.claim()

    def send(self, message: Shard | LabelUpdate) -> bool:
        return send(self.miner, message, driver=self.driver)


def test_its_pools_are_of_the_shards_that_it_was_offered(tmp_path: Path) -> None:
    claimed = ClaimedMiner(tmp_path / "miner")
    assert [claimed.send(shard(tmp_path, number)) for number in (0, 1, 0)] == [True, True, False]
    miner = claimed.miner
    counts = miner.counts(0.75)
    assert counts.num_images == 40
    assert read_pool(Path(miner.pool(0.75))).num_rows == counts.tp + counts.fp + counts.fn


def test_a_restarted_miner_answers_as_the_lost_one(tmp_path: Path) -> None:
    claimed = ClaimedMiner(tmp_path / "miner")
    for round_number in (1, 2):
        for number in range(3):
            claimed.send(shard(tmp_path, number, round_number=round_number))
    first, second = claimed.miner, Miner(str(tmp_path / "miner"))
    assert second.counts(0.85) == first.counts(0.85)
    assert second.pool(0.85) == first.pool(0.85)
    assert second.moved(0.75).counts() == first.moved(0.75).counts() != {}
    assert not second.offer(shard(tmp_path, 2, round_number=2), driver=claimed.driver)


def test_a_shard_refused_leaves_no_trace_in_the_journal(tmp_path: Path) -> None:
    claimed = ClaimedMiner(tmp_path / "miner")
    good = shard(tmp_path, 0)
    claimed.send(good)
    with pytest.raises(ValueError, match="other content"):
        claimed.send(Shard(1, 0, 1, "elsewhere.parquet", good.columns))
    assert Miner(str(tmp_path / "miner")).counts(0.75) == claimed.miner.counts(0.75)


def test_a_run_may_be_moved_with_its_miner(tmp_path: Path) -> None:
    ClaimedMiner(tmp_path / "old" / "miner").send(shard(tmp_path / "old", 0))
    (tmp_path / "old").rename(tmp_path / "new")
    assert read_pool(Path(Miner(str(tmp_path / "new" / "miner")).pool(0.75))).num_rows > 0


def test_a_miner_in_a_bucket_answers_as_one_in_a_folder_and_is_fenced_alike(bucket: str, tmp_path: Path) -> None:
    place = f"{bucket}/run/miner"
    first = Miner(place, run=str(tmp_path))
    driver = first.claim()
    in_folder = ClaimedMiner(tmp_path / "miner")
    for number in range(3):
        first.offer(shard(tmp_path, number), driver=driver)
        in_folder.send(shard(tmp_path, number))
    restarted = Miner(place, run=str(tmp_path))
    uri, _, name = restarted.pool(0.75).rpartition("/")
    written = Path(in_folder.miner.pool(0.75))
    assert (uri, name, get(uri, name)) == (f"{place}/pools", written.name, written.read_bytes())
    assert restarted.counts(0.75) == first.counts(0.75) == in_folder.miner.counts(0.75)
    restarted.claim()
    with pytest.raises(Superseded, match="written by another miner"):
        first.offer(shard(tmp_path, 3), driver=driver)


def update(
    *keys: int, p_mass: float, source: UpdateSource = UpdateSource.VERDICT, round_number: int = 1, order: int = 1
) -> LabelUpdate:
    columns = (
        np.array(keys, np.int64),
        np.full(len(keys), p_mass, np.float32),
        np.full(len(keys), order, np.int64),
        np.zeros(len(keys), bool),
    )
    return LabelUpdate(source, round_number, *columns)


def test_label_updates_affect_the_next_snapshot_only_and_survive_the_miner(tmp_path: Path) -> None:
    claimed = ClaimedMiner(tmp_path / "miner")
    miner = claimed.miner
    claimed.send(shard(tmp_path, 0))
    before = Path(miner.pool(0.75))
    pooled, content = read_pool(before).column("image_key").to_pylist(), before.read_bytes()
    gone = update(*pooled[:2], p_mass=float("nan"), source=UpdateSource.LABEL)
    assert claimed.send(gone)
    assert not claimed.send(gone)
    assert read_pool(Path(miner.pool(0.75))).column("image_key").to_pylist() == pooled[2:]
    assert before.read_bytes() == content
    assert read_pool(Path(Miner(str(tmp_path / "miner")).pool(0.75))).column("image_key").to_pylist() == pooled[2:]


def test_a_miner_that_was_replaced_takes_nothing_more(tmp_path: Path) -> None:
    old = ClaimedMiner(tmp_path / "miner")
    old.send(shard(tmp_path, 0))
    ClaimedMiner(tmp_path / "miner").send(shard(tmp_path, 1))
    for message in (update(1, p_mass=0.0), shard(tmp_path, 2)):
        with pytest.raises(Superseded, match="written by another miner"):
            old.send(message)
    assert Miner(str(tmp_path / "miner")).counts(0.75).num_images == 40


def test_a_driver_that_was_replaced_is_refused_also_by_a_restarted_miner(tmp_path: Path) -> None:
    first = ClaimedMiner(tmp_path / "miner")
    first.send(shard(tmp_path, 0))
    second = first.miner.claim()
    for miner in (first.miner, Miner(str(tmp_path / "miner"))):
        for message in (
            shard(tmp_path, 0),
            shard(tmp_path, 2),
            update(1, p_mass=0.0),
        ):  # also what would change nothing
            with pytest.raises(Superseded, match="driver 1 of this run was replaced by driver 2"):
                send(miner, message, driver=first.driver)
    assert Miner(str(tmp_path / "miner")).offer(shard(tmp_path, 1), driver=second)
    assert Miner(str(tmp_path / "miner")).counts(0.75).num_images == 40


def _shard(number: int, round_number: int, attempt: int) -> Shard:
    keys = np.arange(3, dtype=np.int64) + 3 * number
    p_mass = np.array([0.99, 0.8, 0.01], np.float32)[(keys + round_number) % 3]
    return Shard(
        round_number,
        number,
        attempt,
        f"{round_number}/{attempt}/{number}",
        Columns(keys, p_mass, p_mass, (keys + attempt) % 2 == 0),
    )


MESSAGES: list[Shard | LabelUpdate] = [
    *[_shard(number, round_number, attempt) for number in (0, 1) for round_number in (1, 2, 3) for attempt in (1, 2)],
    *[
        update(0, 4, p_mass=p_mass, source=source, round_number=number, order=order)
        for source in UpdateSource
        for number in (1, 3)
        for order, p_mass in ((1, 0.99), (2, 0.01))
    ],
    update(1, 2, p_mass=float("nan"), source=UpdateSource.LABEL, round_number=2),
    update(5, p_mass=float("nan"), order=9),
]


class AnyOrderRepeatsAndDeaths(RuleBasedStateMachine):
    """In any order and with any deaths in between, it answers as after one clean pass of the same messages."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.miner = ClaimedMiner(self.folder / "miner").miner
        self.driver = 1
        self.sent: set[int] = set()

    @rule(number=st.integers(0, len(MESSAGES) - 1))
    def send_one(self, number: int) -> None:
        message = MESSAGES[number]
        send(self.miner, message, driver=self.driver)
        if self.driver > 1:
            with pytest.raises(Superseded):
                send(self.miner, message, driver=self.driver - 1)
        self.sent.add(number)

    @rule()
    def change_drivers(self) -> None:
        self.driver = self.miner.claim()

    @rule()
    def die(self) -> None:
        (self.folder / "miner" / "journal" / "half.part").write_bytes(b"half an entry")
        self.miner = Miner(str(self.folder / "miner"))

    @rule(number=st.integers(0, len(MESSAGES) - 1))
    def die_after_writing_before_answering(self, number: int) -> None:
        message = MESSAGES[number]
        pools = self.miner._pools
        if pools.would_change(message) if isinstance(message, Shard) else pools.would_change_labels(message):
            self.miner._journal.append(message)
            self.sent.add(number)
        self.die()

    @invariant()
    def it_answers_as_after_one_clean_pass(self) -> None:
        clean = Pools()
        for number in sorted(self.sent):
            message = MESSAGES[number]
            clean.accept(message) if isinstance(message, Shard) else clean.update_labels(message)
        for round_number in clean.rounds():
            for p0 in (0.95, 0.75):
                assert self.miner.counts(p0, round_number=round_number) == clean.counts(
                    p0=p0, round_number=round_number
                )
        if clean.rounds():
            found, expected = self.miner.moved(0.75), clean.moves(p0=0.75)
            assert (found.counts(), found.reasons()) == (expected.counts(), expected.reasons())

    def teardown(self) -> None:
        shutil.rmtree(self.folder)


AnyOrderRepeatsAndDeaths.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
test_any_order_any_repeats_and_any_deaths_give_the_pools_of_one_clean_pass = AnyOrderRepeatsAndDeaths.TestCase


CLUSTER = """
import os, signal, sys, threading, time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

sys.path.insert(0, sys.argv[2])
from test_miner import shard
from actors.miner import Miner
from pipelines.mine import miner_of
from system.mining import read_pool

run = Path(sys.argv[1])
fast = {f"health_check_{name}": value for name, value in
        {"period_ms": 200, "timeout_ms": 1000, "failure_threshold": 3, "initial_delay_ms": 0}.items()}
head = {"num_cpus": 0, "include_dashboard": False, "_system_config": fast}
cluster = Cluster(initialize_head=True, head_node_args=head)
ray.init(cluster.address, log_to_driver=False)
node = cluster.add_node(num_cpus=1)
shards = [shard(run, number) for number in range(40)]
read, over = [], threading.Event()

with miner_of(run) as (miner, driver):
    def train():
        while not over.is_set():
            if ray.get(miner.counts.remote(0.75)).num_images:
                read.append(read_pool(Path(ray.get(miner.pool.remote(0.75)))).num_rows)
    reader = threading.Thread(target=train)
    ray.get(miner.offer.remote(shards[0], driver=driver))
    reader.start()
    for number, one in enumerate(shards):
        if number == 10:
            os.kill(ray.get(miner.__ray_call__.remote(lambda _: os.getpid())), signal.SIGKILL)
        if number == 25:
            cluster.remove_node(node, allow_graceful=False)
            node = cluster.add_node(num_cpus=1)
        ray.get(miner.offer.remote(one, driver=driver))
    over.set()
    reader.join()
    found, pool = ray.get(miner.counts.remote(0.75)), Path(ray.get(miner.pool.remote(0.75))).read_bytes()

calm = Miner(str(run / "calm"))
driver = calm.claim()
for one in shards:
    calm.offer(one, driver=driver)
assert found == calm.counts(0.75), (found, calm.counts(0.75))
assert pool == Path(calm.pool(0.75)).read_bytes()
assert read and read == sorted(read) and len(set(read)) > 3, read
print("as calm")
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.ray
@pytest.mark.slow
def test_killing_the_miner_and_its_node_while_shards_arrive_and_a_trainer_reads_loses_nothing(
    tmp_path: Path, ray_environment: Mapping[str, str]
) -> None:
    command = [sys.executable, "-c", CLUSTER, str(tmp_path), str(Path(__file__).parent)]
    done = subprocess.run(command, env=dict(ray_environment), capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "as calm" in done.stdout.splitlines()


IN_A_BUCKET = """
import sys
from pathlib import Path

import ray

sys.path.insert(0, sys.argv[2])
from test_miner import shard
from pipelines import mine
from system.mining import read_pool

run, place = Path(sys.argv[1]), sys.argv[3]
ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=100 * 1024**2, log_to_driver=False)
with mine.miner_of(run, place=place) as (miner, driver):
    ray.get([miner.offer.remote(shard(run, number), driver=driver) for number in range(3)])
    mine._take_over(ray.get(miner.pool.remote(0.75, round_number=1)), run / "pool_step_1.arrow")
    pool = read_pool(run / "pool_step_1.arrow")
    counts = ray.get(miner.counts.remote(0.75))
assert len(pool) == counts.num_pooled > 0, (len(pool), counts)
assert not (run / "miner").exists()
print("from the bucket")
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_round_is_mined_with_journal_and_snapshots_in_a_bucket(
    bucket: str, tmp_path: Path, ray_environment: Mapping[str, str]
) -> None:
    command = [sys.executable, "-c", IN_A_BUCKET, str(tmp_path), str(Path(__file__).parent), f"{bucket}/run/miner"]
    environment = dict(ray_environment) | {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "from the bucket" in done.stdout.splitlines()
