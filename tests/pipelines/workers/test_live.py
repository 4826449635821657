"""Where a training is: written by a worker, shown by the driver; what cannot be written or read harms nothing."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.workers import live
from pipelines.workers.live import NOW, Now, NowFile, now_of, shown
from system.place import LIVE, LIVE_LOGGER, PLACE
from system.training.tally import Tally

# Three steps, one of them skipped, of 8 images each in 2 s each.
TALLY = Tally(losses={"total": 0.5}, good=2, bad=1, images=24, duration_s=6.0)
LINE = "round 2, epoch 3 of 15: step 3 of 10, loss 0.2500, 8 images/s, about 4 min 14 s left"


def now(tally: Tally = TALLY, *, epoch: int = 3) -> Now:
    return now_of(tally, epoch=epoch, num_epochs=15, num_steps=10, num_workers=2)


class Signalled(logging.Handler):
    """Keeps messages, and says when the first one comes."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.places: list[str] = []
        self.came = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        self.places.append(PLACE.in_words())
        self.came.set()


@pytest.fixture
def seen() -> Iterator[Signalled]:
    logger, handler = logging.getLogger(LIVE_LOGGER), Signalled()
    before = logger.handlers, logger.level, logger.propagate
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(LIVE)
    yield handler
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


def test_the_time_left_is_that_of_all_steps_left_at_the_speed_so_far() -> None:
    found = now()  # 7 steps of this epoch and 10 of each of 12 more, at 2 s: 254 s
    assert (found.left_s, found.loss, found.images_per_s) == (254.0, 0.25, 8.0)
    assert found.line("round 2") == LINE


def test_before_the_first_good_step_there_is_no_loss_yet() -> None:
    assert "loss nan" in now(Tally(bad=1, images=8, duration_s=2.0)).line("round 2")


def test_the_driver_shows_what_the_worker_writes_and_is_there(tmp_path: Path, seen: Signalled) -> None:
    with PLACE.at("in round 2, retrain"), shown(tmp_path, name="round 2", every_s=0.01):
        NowFile(tmp_path).write(now())
        assert seen.came.wait(30)
    assert seen.messages == [LINE, ""]  # at the end the line is taken away
    assert seen.places[0] == "in round 2, retrain, epoch 3 of 15"


def test_a_worker_writes_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, clock = NowFile(tmp_path), iter([100.0, 100.0, 101.9, 102.0, 102.0])
    monkeypatch.setattr(live.time, "monotonic", lambda: next(clock))
    file.write(now(epoch=3))
    file.write(now(epoch=4))
    assert '"epoch":3' in (tmp_path / NOW).read_text()
    file.write(now(epoch=5))
    assert '"epoch":5' in (tmp_path / NOW).read_text()


@pytest.mark.parametrize("written", [b"", b"{", b'{"epoch": 1}'])
def test_what_cannot_be_read_is_not_shown(tmp_path: Path, seen: Signalled, written: bytes) -> None:
    with shown(tmp_path, name="round 2", every_s=0.01):
        (tmp_path / NOW).write_bytes(written)
        assert not seen.came.wait(0.1)


def test_a_worker_that_cannot_write_goes_on(tmp_path: Path) -> None:
    NowFile(tmp_path / "gone").write(now())
    assert not (tmp_path / "gone").exists()


def test_a_line_of_an_earlier_start_is_not_shown(tmp_path: Path, seen: Signalled) -> None:
    NowFile(tmp_path).write(now())
    with shown(tmp_path, name="round 2", every_s=0.01):
        assert not seen.came.wait(0.1)
