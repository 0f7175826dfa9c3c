from pathlib import Path

import pytest

from proxy.adapters.rollout_state import RolloutState
from proxy.domain.experiments import Experiment, Guardrail, Primary
from proxy.domain.overrides import ChangedBy
from proxy.domain.rollout_changes import RolloutChange
from proxy.pages.prompts import judged, listed, rollout_of, side_by_side
from proxy.pages.request import PromptFacts
from tests.pages.conftest import NOW, Store

PROMPT = PromptFacts(
    name="support_answer",
    flag="support-test",
    shares={"control": 50, "warm": 50},
    variants={"control": "pv_2026_05_21_001", "warm": "pv_2026_06_04_003"},
    experiment=Experiment(
        primary=Primary(event="llm_task_completed", property="task_completed"),
        guardrails=(Guardrail(metric="error_rate", max=0.1),),
    ),
)


def test_prompts_are_those_that_were_called_and_those_that_are_configured(store: Store) -> None:
    rows = listed(store.analysis, store.filters, [PROMPT, PromptFacts(name="unused")]).rows
    assert [row[0].text for row in rows][-1] == "unused"
    assert {row[0].text: row[-1].text for row in rows} == {
        "support_answer": "support-test",
        "summarise_ticket": "by the app",
        "unused": "no rollout",
    }


def test_versions_stand_side_by_side_with_intervals(store: Store) -> None:
    table = side_by_side(store.analysis, store.filters.choosing(prompt="support_answer"))
    assert {column.title for column in table.columns} == {"", *PROMPT.variants.values()}
    rows = {row[0].text: row[1:] for row in table.rows}
    assert sum(cell.value for cell in rows["calls"]) > 100
    assert " to " in rows["tasks completed"][0].text
    assert "outcome=completed" in rows["tasks completed"][0].href


def test_a_prompt_without_calls_has_no_versions(store: Store) -> None:
    assert side_by_side(store.analysis, store.filters.choosing(prompt="unused")).rows == []


def test_a_rollout_stands_as_configured_until_somebody_changes_it(tmp_path: Path) -> None:
    shown = rollout_of(tmp_path, PROMPT)
    assert shown["variants"] == [
        ("control", "pv_2026_05_21_001", "50.0 %"),
        ("warm", "pv_2026_06_04_003", "50.0 %"),
    ]
    change = RolloutChange(
        id="c1",
        flag="support-test",
        prompt="support_answer",
        shares={"control": 100, "warm": 0},
        changed_by=ChangedBy.GUARDRAIL,
        changed_at_unix_us=1_780_000_000_000_000,
        evidence="error_rate above its limit",
    )
    RolloutState(tmp_path).add(change)
    shown = rollout_of(tmp_path, PROMPT)
    assert (shown["is_changed"], [share for *_, share in shown["variants"]]) == (True, ["100 %", "0 %"])
    assert shown["changes"][0]["why"] == "error_rate above its limit"
    (tmp_path / "rollouts.json").write_text("damaged")
    assert rollout_of(tmp_path, PROMPT)["changes"] == []


def test_an_experiment_is_judged_in_words(store: Store) -> None:
    found = judged(store.analysis, PROMPT, NOW)
    assert found is not None
    assert found["verdict"]
    assert found["guardrails"] == [("error_rate", "warm", "open")]


@pytest.mark.parametrize("prompt", [PromptFacts(name="p"), PromptFacts(name="p", flag="f", variants={"control": "v"})])
def test_where_there_is_no_experiment_nothing_is_judged(prompt: PromptFacts, store: Store) -> None:
    assert judged(store.analysis, prompt, NOW) is None
