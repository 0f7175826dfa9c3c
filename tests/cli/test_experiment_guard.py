from dataclasses import replace
from pathlib import Path
from time import time_ns

import pytest

from proxy.adapters.rollout_state import RolloutState
from proxy.cli import experiment_guard
from proxy.cli.experiment_guard import catch_up_in_posthog, guard_all
from proxy.cli.rollout_steps import change_of
from proxy.config.load import load
from proxy.domain.overrides import ChangedBy
from proxy.domain.rollout_changes import AtPostHog, RolloutChange
from tests.harness import support_folder

pytestmark = pytest.mark.usefixtures("alone")


def looked(folder: Path) -> list[str]:
    configuration = load(folder / "config", folder / "pricing.yaml", {})
    return list(guard_all(configuration, folder / "data", time_ns() // 1_000))


def test_where_a_breach_is_only_to_be_reported_the_rollout_goes_on(tmp_path: Path) -> None:
    support_folder.write(tmp_path, support_folder.PROMPTS.replace("on_breach: stop", "on_breach: report"))
    support_folder.keep(tmp_path, harm=0.3)

    (told,) = looked(tmp_path)

    assert told.endswith("It goes on: `on_breach` says report.")
    assert RolloutState(tmp_path / "data").changes() == []


def test_a_rollout_that_somebody_changes_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    support_folder.write(tmp_path)
    support_folder.keep(tmp_path, harm=0.3)
    state = RolloutState(tmp_path / "data")

    def meanwhile(*given: object) -> RolloutChange:
        made: RolloutChange = change_of(*given)  # type: ignore[arg-type]
        state.add(replace(made, id="by hand", shares={"v1": 90, "v2": 10}, changed_by=ChangedBy.OPERATOR))
        return made

    monkeypatch.setattr(experiment_guard, "change_of", meanwhile)

    (told,) = looked(tmp_path)

    assert told.endswith("Somebody has changed the rollout meanwhile; it is left as it is.")
    assert [change.id for change in state.changes()] == ["by hand"]


def test_without_records_or_experiments_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    support_folder.write(tmp_path)
    assert looked(tmp_path) == []


@pytest.fixture
def pending(tmp_path: Path) -> RolloutState:
    support_folder.write(tmp_path)
    state = RolloutState(tmp_path / "data")
    state.add(
        RolloutChange(
            id="01",
            flag="support_answer",
            prompt="support_answer",
            shares={"v1": 100, "v2": 0},
            changed_by=ChangedBy.OPERATOR,
            changed_at_unix_us=1,
            at_posthog=AtPostHog.PENDING,
        )
    )
    return state


@pytest.mark.parametrize("said", ["PostHog's flag has the same shares now.", None])
def test_what_posthog_could_not_be_told_is_told_later(
    pending: RolloutState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None
) -> None:
    monkeypatch.setattr(experiment_guard, "follow_in_posthog", lambda *_: said)
    configuration = load(tmp_path / "config", tmp_path / "pricing.yaml", {})

    (told,) = catch_up_in_posthog(configuration, tmp_path / "data")

    assert told == f"support_answer: {said or 'PostHog is not told: there is no key for it any more.'}"
