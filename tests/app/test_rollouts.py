import logging
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.adapters.rollout_state import FILE_NAME, RolloutState
from proxy.app.rollouts import TOLD_WITHIN_US, Rollouts
from proxy.domain.journal_rows import Outcome
from proxy.domain.overrides import ChangedBy, Overrides
from proxy.domain.rollout_changes import RolloutChange, outcome_of

NOW_US = 1_800_000_000_000_000
STOPPED = RolloutChange(
    id="01",
    flag="test",
    prompt="support",
    shares={"control": 100},
    changed_by=ChangedBy.GUARDRAIL,
    changed_at_unix_us=NOW_US - 1,
)
LONG_AGO = replace(STOPPED, id="00", changed_at_unix_us=NOW_US - TOLD_WITHIN_US - 1)


async def test_a_change_counts_at_the_next_look_and_is_told_once(tmp_path: Path) -> None:
    noted: list[Outcome] = []
    rollouts = Rollouts(tmp_path, noted.append, lambda: NOW_US)
    RolloutState(tmp_path).add(LONG_AGO)
    RolloutState(tmp_path).add(STOPPED)

    await rollouts.look()
    RolloutState(tmp_path).add(replace(STOPPED, id="02"))
    await rollouts.look()
    await rollouts.look()

    override = rollouts.overrides().of("test")
    assert override is not None
    assert override.only_variant == "control"
    assert noted == [outcome_of(STOPPED), outcome_of(replace(STOPPED, id="02"))]


async def test_a_stop_is_a_warning_and_what_was_set_by_hand_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rollouts = Rollouts(tmp_path, lambda _: None, lambda: NOW_US)
    RolloutState(tmp_path).add(STOPPED)
    RolloutState(tmp_path).add(replace(STOPPED, id="02", flag="other", changed_by=ChangedBy.OPERATOR))

    with caplog.at_level(logging.INFO):
        await rollouts.look()

    assert [(record.levelname, record.__dict__["flag"]) for record in caplog.records] == [
        ("WARNING", "test"),
        ("INFO", "other"),
    ]


async def test_other_workers_take_it_up_and_tell_nothing(tmp_path: Path) -> None:
    rollouts = Rollouts(tmp_path, None, lambda: NOW_US)
    RolloutState(tmp_path).add(STOPPED)

    await rollouts.look()

    assert rollouts.overrides().of("test") is not None


async def test_a_damaged_file_is_an_error_in_the_log_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rollouts = Rollouts(tmp_path, None, lambda: NOW_US)
    RolloutState(tmp_path).add(STOPPED)
    await rollouts.look()
    (tmp_path / FILE_NAME).write_text("?")

    with caplog.at_level(logging.ERROR):
        await rollouts.look()
        await rollouts.look()

    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "what counted before goes on" in caplog.text
    assert rollouts.overrides().of("test") is not None


async def test_a_file_that_is_damaged_from_the_start_holds_every_rollout_until_it_is_put_right(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rollouts = Rollouts(tmp_path, None, lambda: NOW_US)
    (tmp_path / FILE_NAME).write_text("?")

    with caplog.at_level(logging.ERROR):
        await rollouts.look()

    assert "every rollout runs its default" in caplog.text
    assert not rollouts.overrides().are_known

    (tmp_path / FILE_NAME).unlink()
    await rollouts.look()
    assert rollouts.overrides() == Overrides()
