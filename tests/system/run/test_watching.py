"""The last look of a watcher, as status and as metrics."""

from dataclasses import replace
from pathlib import Path

from system.run.watching import FOLDER, METRICS, Watching, as_metrics, is_watched, read, write

SEEN = Watching(1_790_000_000.5, "p", "Wait", "nothing is due", 1_790_000_060.5, promoted="aaaa", promoted_mean=0.625)


def test_it_is_read_back_and_beside_it_lie_the_metrics(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    assert not is_watched(tmp_path)
    (tmp_path / FOLDER).mkdir()
    write(SEEN, run=tmp_path)
    found = read(tmp_path)
    assert found is not None
    assert (found.promoted_mean, found.reason) == (0.625, "nothing is due")
    assert (tmp_path / FOLDER / METRICS).read_text() == as_metrics(SEEN)


def test_metrics_are_lines_of_a_name_and_a_number_without_what_is_not_known() -> None:
    lines = as_metrics(SEEN).splitlines()
    values = dict(line.split() for line in lines if not line.startswith("#"))
    assert values["mammoloop_watch_looked_timestamp_seconds"] == "1790000000"
    assert values["mammoloop_watch_promoted_mean_sensitivity"] == "0.625"
    assert "mammoloop_watch_newest_arrival_timestamp_seconds" not in values
    assert "mammoloop_watch_quarantined_share" not in values
    assert sum(line.startswith("# TYPE") for line in lines) == len(values)


def test_an_alert_and_a_failure_are_alerts() -> None:
    for decision, alert in (("Wait", "0"), ("Retrain", "0"), ("Alert", "1"), ("Failed", "1")):
        assert f"mammoloop_watch_alert {alert}\n" in as_metrics(replace(SEEN, decision=decision))
