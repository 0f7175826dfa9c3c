from typing import Any

import pytest

from proxy.pages.trace import SCALE, read_trace, view_of
from tests.pages.conftest import Store


def trace_where(store: Store, condition: str) -> str:
    found = store.analysis.query(f"SELECT trace_id FROM calls WHERE {condition} ORDER BY trace_id LIMIT 1")
    return str(found[0]["trace_id"])


def view(store: Store, condition: str, only_key: str | None = None) -> dict[str, Any]:
    return view_of(read_trace(store.folder, trace_where(store, condition), only_key))


AGENT_WITH_OUTCOME = (
    "agent_step_name = 'answer' AND trace_id IN (SELECT trace_id FROM outcomes WHERE name = 'llm_task_completed')"
)


def test_a_trace_is_its_calls_its_steps_and_what_came_of_it(store: Store) -> None:
    shown = view(store, AGENT_WITH_OUTCOME)
    assert [line["span"].name for line in shown["lines"]][::2] == ["plan", "look_up", "answer"]
    assert len(shown["steps"]) == 2
    assert "llm_task_completed" in [outcome["name"] for outcome in shown["outcomes"]]
    assert {figure.label: figure.value for figure in shown["figures"]}["Calls"] == "3"
    assert {"prompt", "version", "user", "agent"} <= {what for what, _, _ in shown["context"]}


def test_bars_lie_within_the_scale(store: Store) -> None:
    bars = [bar for line in view(store, AGENT_WITH_OUTCOME)["lines"] for bar in line["bars"]]
    assert bars
    assert all(0 <= bar["x"] <= SCALE and bar["width"] > 0 for bar in bars)


def test_a_failed_call_says_what_failed(store: Store) -> None:
    (failed, *_) = [call for call in view(store, "status = 'error'")["calls"] if call["is_failed"]]
    assert ("error", failed["error"]) in failed["groups"]["Answer"]


@pytest.mark.parametrize(("only_key", "is_seen"), [("web-app", True), ("batch", False)])
def test_a_proxy_key_sees_its_own_alone(only_key: str, is_seen: bool, store: Store) -> None:
    shown = view(store, f"key_alias = 'web-app' AND {AGENT_WITH_OUTCOME}", only_key)
    assert (bool(shown["calls"]), bool(shown["outcomes"]), bool(shown["steps"])) == (is_seen, is_seen, is_seen)


def test_an_unknown_trace_has_nothing(store: Store) -> None:
    shown = view_of(read_trace(store.folder, "' OR 1=1 --", None))
    assert (shown["calls"], shown["lines"], shown["ticks"]) == ([], [], [])
