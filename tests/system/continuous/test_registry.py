"""The ledger of models: what may follow what, which model is promoted, and two writers at once."""

from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread

import pyarrow as pa
import pytest

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.continuous.registry import (
    Decide,
    Entry,
    Lineage,
    Registry,
    Said,
    add,
    approve,
    conclude,
    read,
    register,
    roll_back,
)
from system.errors import UserError
from system.imaging import ImagingConfig

LINEAGE = Lineage(
    "run", "id", "round_01", "run/round_01/checkpoint/attempt_001", "", "r", "p", "", {"images": 3}, "c", 0.6
)
SAID = Said("2026-11-26T10:00:00+00:00", "plan p", "as the plan says")
A, B = "aaaa", "bbbb"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive.create(tmp_path / "archive", imaging=ImagingConfig(height_px=64, width_px=64))


def after(*decisions: Decide) -> Registry:
    registry = Registry()
    for decide in decisions:
        if (following := decide(registry)) is not None:
            registry = registry.with_entry(following)
    return registry


def registered(name: str, **changes: str) -> Decide:
    return register(name, replace(LINEAGE, **changes), said=SAID)


def statuses(registry: Registry) -> dict[str, str]:
    return {name: model.status for name, model in registry.models.items()}


def test_the_promoted_model_is_the_last_that_was_promoted_and_the_one_before_retires() -> None:
    first = [registered(A), conclude(A, "promoted", said=SAID)]
    assert after(*first).promoted == A
    found = after(*first, registered(B), conclude(B, "promoted", said=SAID))
    assert (found.promoted, statuses(found)) == (B, {A: "retired", B: "promoted"})


def test_a_refused_candidate_changes_nothing_of_what_is_promoted() -> None:
    found = after(registered(A), conclude(A, "promoted", said=SAID), registered(B), conclude(B, "refused", said=SAID))
    assert (found.promoted, statuses(found)) == (A, {A: "promoted", B: "refused"})


def test_the_same_decision_again_adds_nothing() -> None:
    once = [registered(A), conclude(A, "promoted", said=SAID)]
    assert len(after(*once, *once).entries) == 2


def test_a_held_model_is_approved_by_the_person_of_its_plan_alone() -> None:
    held = after(registered(A, approver="R. Ansari"), conclude(A, "held", said=SAID))
    assert held.promoted == ""
    with pytest.raises(UserError, match=r"waits for approval by R\. Ansari"):
        approve(A, said=SAID)(held)
    following = approve(A, said=replace(SAID, by="R. Ansari"))(held)
    assert following is not None
    assert held.with_entry(following).promoted == A
    with pytest.raises(UserError, match="not held"):
        approve(A, said=SAID)(after(registered(A)))


def test_rolling_back_returns_to_the_one_before_or_to_a_named_one_that_was_promoted() -> None:
    both = after(registered(A), conclude(A, "promoted", said=SAID), registered(B), conclude(B, "promoted", said=SAID))
    following = roll_back("", said=SAID)(both)
    assert following is not None
    back = both.with_entry(following)
    assert (back.promoted, statuses(back)) == (A, {A: "promoted", B: "retired"})
    assert roll_back(A, said=SAID)(back) is None
    again = roll_back("bb", said=SAID)(back)
    assert again is not None
    assert back.with_entry(again).promoted == B
    never = after(registered(A), conclude(A, "promoted", said=SAID), registered(B))
    with pytest.raises(UserError, match="was never promoted"):
        roll_back(B, said=SAID)(never)
    with pytest.raises(UserError, match="nothing to roll back to"):
        roll_back("", said=SAID)(never)


def test_only_a_candidate_is_held_or_refused() -> None:
    promoted = after(registered(A), conclude(A, "promoted", said=SAID))
    with pytest.raises(UserError, match="only a candidate can be refused"):
        conclude(A, "refused", said=SAID)(promoted)


def test_a_model_is_found_by_the_beginning_of_its_name() -> None:
    found = after(registered("abcd"), registered("abef"))
    assert found.find("abc").name == "abcd"
    with pytest.raises(UserError, match="2 models"):
        found.find("ab")
    with pytest.raises(UserError, match="it has abcd, abef"):
        found.find("x")


def test_looks_refusals_in_a_row_and_what_is_held_are_counted_by_run() -> None:
    first = [registered(A), conclude(A, "promoted", said=SAID)]
    person = replace(SAID, by="R1")
    refused = [
        step for name in ("c1", "c2") for step in (registered(name, parent=A), conclude(name, "refused", said=SAID))
    ]
    found = after(*first, *refused)
    assert (found.looks("id"), found.refused_in_a_row("id"), found.held("id")) == (2, 2, "")
    assert (found.looks("other"), found.refused_in_a_row("other")) == (0, 0)
    held = after(*first, *refused, registered("c3", parent=A), conclude("c3", "held", said=SAID))
    assert (held.looks("id"), held.refused_in_a_row("id"), held.held("id")) == (3, 0, "c3")
    assert held.held("other") == ""
    by_hand = after(*first, *refused, conclude("c1", "promoted", said=person))
    assert (by_hand.looks("id"), by_hand.refused_in_a_row("id")) == (2, 0)


@pytest.mark.parametrize("missing", ["by", "why"])
def test_an_entry_says_who_and_why(missing: str) -> None:
    with pytest.raises(UserError, match="give a"):
        replace(SAID, **{missing: " "})


def test_it_is_read_back_from_the_archive(archive: Archive) -> None:
    assert read(archive) == Registry()
    add(archive, registered(A))
    written = add(archive, conclude(A, "promoted", said=SAID))
    assert read(archive) == written
    assert written.models[A].lineage == LINEAGE


def test_two_writers_at_once_both_count_and_the_later_decides_on_what_the_first_left(archive: Archive) -> None:
    add(archive, registered(A))
    add(archive, registered(B))
    start = Barrier(2)

    def promote(name: str) -> None:
        start.wait()
        add(archive, conclude(name, "promoted", said=SAID))

    writers = [Thread(target=promote, args=[name]) for name in (A, B)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = read(archive)
    assert [each.number for each in found.entries] == [1, 2, 3, 4]
    assert found.promoted == found.entries[-1].model
    assert sorted(statuses(found).values()) == ["promoted", "retired"]


def test_a_ledger_with_a_hole_is_named(archive: Archive) -> None:
    row = {"entry": "000002", "at": "", "event": "registered", "model": A, "by": "x", "why": "y", "lineage": ""}
    archive.upsert("models", pa.Table.from_pylist([row], schema=SCHEMAS["models"]))
    with pytest.raises(UserError, match="the table models of the archive is not what was written"):
        read(archive)


def test_an_entry_that_does_not_follow_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="does not follow"):
        Registry().with_entry(Entry(1, "promoted", A, SAID))
