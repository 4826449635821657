"""A checker that misses a loss is worthless: each kind of damage, done by hand to a whole state, is found."""

import json
from dataclasses import replace

import pytest

from tests.chaos import checks
from tests.chaos.checks import Facts, State
from tests.chaos.schedule import Fault, Moment, Strike, Victim

STAGE = "run/round_01/pools"


def manifest(*files: str, attempt: str = "attempt_001", seconds: float = 1.0, images: int = 7) -> str:
    result = {"num_images": images, "seconds": {"read": seconds}, "pools": [{"step": 1, "duration_s": seconds}]}
    return json.dumps({"attempt": attempt, "files": files, "result": result, "seconds": seconds})


WHOLE = State(
    rows={"files": [("a", "1"), ("b", "2"), ("c", "3")], "quarantine": [("b", "9")]},
    manifests={STAGE: manifest("pool.arrow")},
    files={
        f"{STAGE}/manifest.json": "m1",
        f"{STAGE}/attempt_001/pool.arrow": "p1",
        "run/miner/journal/00000000.arrow": "j0",
        "run/miner/journal/00000001.arrow": "j1",
        "archive/pixels/ab/abcd.png": "x1",
        "run/driver.lock": "d1",
    },
)


def seen(state: State) -> Facts:
    return Facts({table: dict(rows) for table, rows in state.rows.items()}, checks.durable_files(state))


def without(place: str) -> State:
    return replace(WHOLE, files={name: each for name, each in WHOLE.files.items() if name != place})


def changed(place: str) -> State:
    return replace(WHOLE, files={**WHOLE.files, place: "other"})


def with_rows(*rows: tuple[str, str]) -> State:
    return replace(WHOLE, rows={**WHOLE.rows, "files": list(rows)})


def all_findings(now: State) -> list[str]:
    found = checks.lost(seen(WHOLE), now, end=WHOLE) + checks.doubled(now) + checks.unfinished(now)
    return found + checks.unlike(now, WHOLE) + checks.partial(now)


def test_a_whole_state_has_no_findings() -> None:
    assert all_findings(WHOLE) == []


def test_a_lost_row_is_found() -> None:
    now = with_rows(("a", "1"), ("c", "3"))
    assert checks.lost(seen(WHOLE), now, end=WHOLE) == ["1 rows of files are lost: b"]
    assert checks.unlike(now, WHOLE) == ["1 rows of files are not those of the calm run: b"]


def test_a_table_that_is_lost_as_a_whole_is_found() -> None:
    now = replace(WHOLE, rows={"quarantine": WHOLE.rows["quarantine"]})
    assert checks.lost(seen(WHOLE), now, end=WHOLE) == ["3 rows of files are lost: a, b, c"]


def test_a_doubled_row_is_found_whether_or_not_its_values_are_the_same() -> None:
    for digest in ("2", "other"):
        now = with_rows(*WHOLE.rows["files"], ("b", digest))
        assert checks.doubled(now) == ["1 rows of files are there twice: b"]
        assert checks.unlike(now, WHOLE) == ["1 rows of files are unknown to the calm run: b"]


def test_a_changed_row_is_found() -> None:
    now = with_rows(("a", "1"), ("b", "other"), ("c", "3"))
    assert checks.lost(seen(WHOLE), now, end=WHOLE) == ["1 rows of files have changed: b"]
    assert len(checks.unlike(now, WHOLE)) == 2


def test_a_row_may_become_what_it_is_in_the_calm_run_and_go_where_it_goes_there() -> None:
    end = State(rows={"files": [("a", "1"), ("b", "new"), ("c", "3")]})
    facts = Facts({"files": {"b": "2"}, "quarantine": {"b": "9"}})
    assert checks.lost(facts, State(rows={"files": [("b", "new")]}), end=end) == []
    assert checks.lost(facts, State(rows={"files": [("b", "2")]}), end=end) == []
    assert checks.lost(facts, State(rows={"files": [("b", "third")]}), end=end) == ["1 rows of files have changed: b"]


def test_a_row_of_no_calm_run_is_found_at_the_end() -> None:
    now = with_rows(*WHOLE.rows["files"], ("d", "4"))
    assert checks.unlike(now, WHOLE) == ["1 rows of files are unknown to the calm run: d"]


@pytest.mark.parametrize("text", ["", "{", manifest("pool.arrow")[:-5], "[]", '{"attempt": "attempt_001"}'])
def test_an_unfinished_manifest_is_found(text: str) -> None:
    now = replace(WHOLE, manifests={STAGE: text})
    assert checks.unfinished(now) == [f"the manifest of {STAGE} is not whole"]
    assert checks.unlike(now, WHOLE)


def test_a_manifest_that_lists_an_absent_file_is_found() -> None:
    place = f"{STAGE}/attempt_001/pool.arrow"
    expected = f"1 files that the manifest of {STAGE} lists are not there: {place}"
    assert checks.unfinished(without(place)) == [expected]


def test_a_manifest_that_is_gone_or_written_again_is_found() -> None:
    place = f"{STAGE}/manifest.json"
    gone = replace(without(place), manifests={})
    assert checks.lost(seen(WHOLE), gone, end=WHOLE) == [f"1 files that were whole are lost: {place}"]
    assert "1 stages are not done: run/round_01/pools" in checks.unlike(gone, WHOLE)
    assert checks.lost(seen(WHOLE), changed(place), end=WHOLE) == [f"1 finished files have changed: {place}"]


@pytest.mark.parametrize(
    "place",
    [f"{STAGE}/attempt_001/pool.arrow", "run/miner/journal/00000001.arrow", "archive/pixels/ab/abcd.png"],
)
def test_a_durable_file_that_is_lost_or_changed_is_found(place: str) -> None:
    assert checks.lost(seen(WHOLE), without(place), end=WHOLE) == [f"1 files that were whole are lost: {place}"]
    assert checks.lost(seen(WHOLE), changed(place), end=WHOLE) == [f"1 finished files have changed: {place}"]


def test_a_file_that_no_manifest_lists_may_change_and_go() -> None:
    for now in (without("run/driver.lock"), changed("run/driver.lock")):
        assert all_findings(now) == []


def test_a_gap_in_the_miners_journal_is_found() -> None:
    found = checks.unfinished(without("run/miner/journal/00000000.arrow"))
    assert found == ["the miner's journal has gaps: 1 entries, the last is 1"]


def test_a_stage_done_in_another_attempt_and_time_is_the_same_and_with_another_result_or_file_is_not() -> None:
    def done(text: str, digest: str = "p1") -> list[str]:
        files = {f"{STAGE}/manifest.json": "m2", f"{STAGE}/attempt_002/pool.arrow": digest}
        pixels = {"archive/pixels/ab/abcd.png": "x1"}
        return checks.unlike(replace(WHOLE, manifests={STAGE: text}, files=files | pixels), WHOLE)

    again = {"attempt": "attempt_002", "seconds": 5.0}
    assert done(manifest("pool.arrow", attempt="attempt_002", seconds=5.0)) == []
    assert done(manifest("pool.arrow", **again, images=8)) == [f"the result of {STAGE} is not that of the calm run"]
    assert done(manifest("pool.arrow", **again), "p2") == [
        f"1 files of {STAGE} are not those of the calm run: pool.arrow"
    ]
    assert done(manifest(**again)) == [f"1 files of {STAGE} are not those of the calm run: pool.arrow"]


def test_a_stage_that_the_calm_run_does_not_have_and_pixels_that_differ_are_found() -> None:
    other = replace(WHOLE, manifests={**WHOLE.manifests, "run/round_02/pools": manifest()})
    assert checks.unlike(other, WHOLE) == ["1 stages are unknown to the calm run: run/round_02/pools"]
    place = "archive/pixels/ab/abcd.png"
    for now in (without(place), changed(place)):
        assert checks.unlike(now, WHOLE) == [f"1 pixels differ: {place}"]


@pytest.mark.parametrize(
    "name",
    [
        "run/labels/labels.parquet.0a1b.part",
        "archive/tables/files/_delta_log/_commit_0a-1b.json.tmp",
        "archive/tables/files/part-0.parquet#1",
        "review/tmpabcd1234",
        "bucket/miner/journal/probe-0a1b2c",
    ],
)
def test_a_file_that_was_still_being_written_is_found(name: str) -> None:
    assert checks.partial(replace(WHOLE, files={**WHOLE.files, name: "1"})) == [f"1 partial files are left: {name}"]


def test_rows_that_were_acknowledged_and_are_not_there_are_found() -> None:
    before, now = State(rows={"files": [("a", "1")]}), State(rows={"files": [("a", "1"), ("b", "2")]})
    assert checks.unacknowledged({"files": 1}, before, now, end=WHOLE) == []
    assert checks.unacknowledged({"files": 2}, before, now, end=WHOLE) == [
        "files: 2 rows were acknowledged, 1 are there"
    ]
    assert checks.unacknowledged({"files": 9}, before, WHOLE, end=WHOLE) == []  # said again by another start


def strike(victim: Victim, fault: Fault) -> Strike:
    return Strike(1, "folder", "ingest", "", victim, fault, Moment("time", 0.5), pick=0.0, pause_s=1.0)


@pytest.mark.parametrize(
    ("victim", "fault", "struck", "code"),
    [
        ("driver", "KILL", True, 137),
        ("driver", "HALT", True, 137),
        ("driver", "TERM", True, 143),
        ("driver", "STOP", True, 0),
        ("raylet", "KILL", True, 75),
        ("predictor", "HALT", True, 0),
        ("disk", "full", True, 75),
        ("store", "503", False, 75),
    ],
)
def test_an_allowed_end_is_no_finding(victim: Victim, fault: Fault, struck: bool, code: int) -> None:
    assert checks.ended_wrongly(strike(victim, fault), struck=struck, code=code, errors="mammoloop: a line") == []


@pytest.mark.parametrize(
    ("victim", "fault", "struck", "code"),
    [
        ("driver", "KILL", False, 137),  # this start was not struck
        ("driver", "TERM", True, 130),
        ("driver", "TERM", True, 1),
        ("raylet", "KILL", True, 1),
        ("raylet", "KILL", True, 143),
        ("disk", "full", True, 2),
        ("predictor", "KILL", True, 137),
    ],
)
def test_any_other_end_is_a_finding_with_the_last_line(victim: Victim, fault: Fault, struck: bool, code: int) -> None:
    found = checks.ended_wrongly(strike(victim, fault), struck=struck, code=code, errors="first\nmammoloop: the last\n")
    assert found == [f"exit code {code}: mammoloop: the last"]


def test_a_traceback_is_a_finding_whatever_the_code() -> None:
    errors = f"{checks.TRACEBACK}:\n  File\nValueError: shapes differ\n"
    for code in (0, 75):
        found = checks.ended_wrongly(strike("raylet", "KILL"), struck=True, code=code, errors=errors)
        assert found == ["a traceback on standard error: ValueError: shapes differ"]


@pytest.mark.parametrize(
    ("fault", "errors", "num_findings"),
    [
        ("412", "mammoloop: journal entry 3 was written by another miner: start the run again, once", 0),
        ("412", "mammoloop: there is no archive", 1),
        ("503", "mammoloop: journal entry 3 was written by another miner: start the run again, once", 1),
    ],
)
def test_exit_2_needs_a_reason_that_its_fault_explains(fault: Fault, errors: str, num_findings: int) -> None:
    assert len(checks.ended_wrongly(strike("store", fault), struck=True, code=2, errors=errors)) == num_findings


def test_a_finding_names_the_first_few_and_counts_the_rest() -> None:
    assert checks.sentence(["a", "b", "c", "d", "e"], "are lost") == ["5 are lost: a, b, c and 2 more"]


def test_a_text_that_must_stay_private_is_found_in_what_a_command_wrote() -> None:
    output = "12:00:01 read 8 of 144 files\nValueError: bad text 'A mass in the left breast.'"
    assert checks.quoted(output, ["PH3-000001", "A mass in the left breast."]) == [
        "1 private texts are quoted: 'A mass in th'…"
    ]
    assert checks.quoted(output, ["PH3-000001", "No suspicious mass."]) == []
