from pathlib import Path

import pytest

from proxy.adapters.rollout_state import RolloutState
from proxy.cli.configured_rollouts import NamedRollout
from proxy.cli.rollout_steps import change_of, follow_in_posthog, stop_shares
from proxy.domain.overrides import ChangedBy
from proxy.domain.rollout import Rollout, Split
from proxy.domain.rollout_changes import AtPostHog, RolloutChange

pytestmark = pytest.mark.usefixtures("alone")
FLAG = NamedRollout(name="support", rollout=Rollout(flag="test", default="b"), variants=("b", "a"))
SPLIT = NamedRollout(
    name="fast", rollout=Rollout(flag="fast", default="a", split=Split((("a", 50.0), ("b", 50.0)))), variants=("a", "b")
)


def change(named: NamedRollout, shares: dict[str, float] | None) -> RolloutChange:
    return change_of(named, shares, ChangedBy.OPERATOR, "why")


def test_a_stop_gives_everybody_control() -> None:
    assert stop_shares(FLAG) == {"b": 100, "a": 0}


def test_posthog_follows_where_it_has_a_flag_and_a_key_may(monkeypatch: pytest.MonkeyPatch) -> None:
    assert change(FLAG, {"b": 100.0}).at_posthog is AtPostHog.NOT_ASKED
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", "phx_test")
    monkeypatch.setenv("POSTHOG_PROJECT_ID", "1")

    assert change(FLAG, {"b": 100.0}).at_posthog is AtPostHog.PENDING
    assert change(FLAG, None).at_posthog is AtPostHog.NOT_ASKED
    assert change(SPLIT, {"a": 100.0}).at_posthog is AtPostHog.NOT_ASKED


def test_what_cannot_be_reached_stays_to_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", "phx_test")
    monkeypatch.setenv("POSTHOG_PROJECT_ID", "1")
    monkeypatch.setenv("POSTHOG_HOST", "http://127.0.0.1:1")
    monkeypatch.setattr("proxy.adapters.posthog_api.FIRST_PAUSE_S", 0.0)
    state, made = RolloutState(tmp_path), change(FLAG, {"b": 100.0, "a": 0.0})
    state.add(made)

    told = follow_in_posthog(state, made, "b")

    assert told is not None
    assert "the proxy will try again" in told
    assert state.changes() == [made]
