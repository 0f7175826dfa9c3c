import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.adapters.rollout_state import RolloutState
from proxy.app.guardrails import GuardrailWatch, shortest_pause_s
from proxy.config import Places
from proxy.domain.experiments import Experiment, OnBreach, Primary
from proxy.domain.prompts import ManagedPrompt, PromptBook
from tests.harness import support_folder
from tests.harness.call import PATIENCE_S

STOPS = Experiment(primary=Primary(event="e"), on_breach=OnBreach.STOP, check_every_s=5)


def places(folder: Path) -> Places:
    return Places(config_dir=folder / "config", pricing_file=folder / "pricing.yaml", data_dir=folder / "data")


def book(*experiments: Experiment | None) -> PromptBook:
    prompts = {
        str(number): ManagedPrompt(name=str(number), versions={}, default="", experiment=experiment)
        for number, experiment in enumerate(experiments)
    }
    return PromptBook(prompts=prompts)


def test_the_pause_is_that_of_the_most_watchful_experiment_that_acts() -> None:
    assert shortest_pause_s(book()) is None
    assert shortest_pause_s(book(None, replace(STOPS, on_breach=OnBreach.REPORT))) is None
    assert shortest_pause_s(book(STOPS, replace(STOPS, check_every_s=3), None)) == 3


async def test_a_broken_guardrail_is_found_and_stopped_by_a_child(tmp_path: Path) -> None:
    support_folder.write(tmp_path)
    support_folder.keep(tmp_path, harm=0.3)

    await GuardrailWatch(places(tmp_path), book)._look()

    (change,) = RolloutState(tmp_path / "data").changes()
    assert change.shares == {"v1": 100, "v2": 0}
    assert "escalated_to_human rises by 28.0 points" in change.evidence


async def test_it_looks_again_and_again_while_an_experiment_acts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, enough = [], asyncio.Event()

    async def look(_: GuardrailWatch) -> None:
        looked.append(1)
        if len(looked) == 2:
            enough.set()

    monkeypatch.setattr(GuardrailWatch, "_look", look)
    watch = asyncio.ensure_future(
        GuardrailWatch(places(tmp_path), lambda: book(replace(STOPS, check_every_s=0.001))).run()
    )
    async with asyncio.timeout(PATIENCE_S):
        await enough.wait()
    watch.cancel()
    await asyncio.wait([watch])


async def test_a_child_that_cannot_look_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "prompts.yaml").write_text("version: 2")
    with caplog.at_level(logging.WARNING):
        await GuardrailWatch(places(tmp_path), book)._look()
    assert [record.message for record in caplog.records] == ["the guardrails of experiments could not be looked at"]
