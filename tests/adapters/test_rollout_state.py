from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.adapters.rollout_state import FILE_NAME, KEPT_CHANGES, Damaged, RolloutState, WatchedRollouts
from proxy.domain.overrides import ChangedBy, Overrides
from proxy.domain.rollout_changes import AtPostHog, RolloutChange, to_json

STOPPED = RolloutChange(
    id="01",
    flag="test",
    prompt="support",
    shares={"control": 100},
    changed_by=ChangedBy.GUARDRAIL,
    changed_at_unix_us=1,
)
RESUMED = replace(STOPPED, id="02", shares=None)


def test_a_change_counts_for_whoever_watches_and_for_the_next_start(tmp_path: Path) -> None:
    watching = WatchedRollouts(tmp_path / "data")
    assert not watching.look()

    assert RolloutState(tmp_path / "data").add(STOPPED)

    assert watching.look()
    assert watching.overrides.of("test") is not None
    assert not watching.look()
    later = WatchedRollouts(tmp_path / "data")
    assert later.look()
    assert later.changes == [STOPPED]
    RolloutState(tmp_path / "data").add(RESUMED)
    assert watching.look()
    assert watching.overrides.of("test") is None


def test_what_counts_by_now_may_speak_against_a_change(tmp_path: Path) -> None:
    state = RolloutState(tmp_path)
    state.add(STOPPED)

    assert not state.add(RESUMED, only_if=lambda overrides: overrides.of("test") is None)
    assert state.changes() == [STOPPED]


def test_what_became_of_it_at_posthog_is_noted(tmp_path: Path) -> None:
    state = RolloutState(tmp_path)
    state.add(STOPPED)
    state.add(RESUMED)

    state.note("01", AtPostHog.DONE)

    assert state.changes() == [replace(STOPPED, at_posthog=AtPostHog.DONE), RESUMED]


def test_a_damaged_file_changes_nothing_and_is_told_once(tmp_path: Path) -> None:
    state, watching = RolloutState(tmp_path), WatchedRollouts(tmp_path)
    state.add(STOPPED)
    watching.look()

    (tmp_path / FILE_NAME).write_bytes(b"{")

    assert [watching.look(), watching.look()] == [True, False]
    assert not watching.is_readable
    assert watching.overrides.of("test") is not None
    with pytest.raises(Damaged, match=FILE_NAME):
        state.add(RESUMED)


def test_a_file_that_was_damaged_before_the_first_look_leaves_unknown_what_counts(tmp_path: Path) -> None:
    state, watching = RolloutState(tmp_path), WatchedRollouts(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"{")

    assert [watching.look(), watching.look()] == [True, False]
    assert not watching.overrides.are_known

    (tmp_path / FILE_NAME).unlink()
    assert [watching.look(), watching.look()] == [True, False]
    assert watching.overrides == Overrides()
    state.add(STOPPED)
    assert watching.look()
    assert watching.overrides.of("test") is not None


def test_where_there_was_no_file_nothing_was_stopped(tmp_path: Path) -> None:
    watching = WatchedRollouts(tmp_path)
    watching.look()

    (tmp_path / FILE_NAME).write_bytes(b"{")

    assert watching.look()
    assert watching.overrides.are_known


def test_old_changes_go_but_for_the_one_that_counts(tmp_path: Path) -> None:
    state = RolloutState(tmp_path)
    state.add(STOPPED)
    (tmp_path / FILE_NAME).write_bytes(_many())

    state.add(replace(STOPPED, id="last", flag="other"))

    kept = state.changes()
    assert len(kept) == KEPT_CHANGES + 1
    assert (kept[0], kept[-1].id) == (STOPPED, "last")


def _many() -> bytes:
    return to_json([STOPPED, *(replace(STOPPED, id=str(number), flag="other") for number in range(KEPT_CHANGES + 5))])


def test_two_who_write_at_once_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: RolloutState(tmp_path).add(replace(STOPPED, id=str(number))), range(40)))

    assert sorted(int(change.id) for change in RolloutState(tmp_path).changes()) == list(range(40))
