import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.adapters.alert_state import FILE_NAME, AlertState
from proxy.app.alerts import TOLD_WITHIN_US, AlertWatch
from proxy.config import Places
from proxy.domain.alert_records import outcome_of
from proxy.domain.alerts import AlertBook, AlertPolicy, Firing, Metric, Rule
from proxy.domain.journal_rows import Outcome
from tests.domain.test_alert_records import FIRED, RESOLVED
from tests.harness.call import PATIENCE_S

NOW_US = RESOLVED.at_unix_us
LONG_AGO = replace(FIRED, alert_id="old", at_unix_us=NOW_US - TOLD_WITHIN_US - 1)
RESTS = AlertPolicy(every_s=0.001)
WATCHES = AlertPolicy(rules=(Rule(name="lost", metric=Metric.DROPPED, above=0),), every_s=0.001)


class Watched:
    """A watch over a folder, with what it has noted and how often it has looked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, policy: AlertPolicy = RESTS) -> None:
        self.noted: list[Outcome] = []
        self.commands: list[list[str]] = []
        self.is_well = True
        self.looked = asyncio.Event()
        self.state = AlertState(folder)
        places = Places(config_dir=folder, pricing_file=folder / "pricing.yaml", data_dir=folder)
        self.now_us = FIRED.at_unix_us
        self.watch = AlertWatch(places, "http://here", lambda: policy, self.noted.append, lambda: self.now_us)
        monkeypatch.setattr("proxy.app.alerts.succeeds", self._succeeds)

    async def _succeeds(self, command: list[str]) -> bool:
        self.commands.append(command)
        self.looked.set()
        return self.is_well


async def test_what_changed_is_told_once_and_what_fires_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    it = Watched(tmp_path, monkeypatch)
    it.state.write(AlertBook(firing={"slow": Firing(fired=FIRED)}, changes=(LONG_AGO, FIRED)))
    it.now_us = NOW_US
    with caplog.at_level(logging.WARNING):
        await it.watch._look()
        await it.watch._look()
    assert it.noted == [outcome_of(FIRED)]
    assert it.watch.firing == 1
    assert [record.message for record in caplog.records] == [
        "an alert fires",
        "the webhook did not take the message of an alert; it is sent again",
    ]
    it.state.write(AlertBook(changes=(LONG_AGO, FIRED, RESOLVED)))
    await it.watch._look()
    assert it.noted == [outcome_of(FIRED), outcome_of(RESOLVED)]
    assert it.watch.firing == 0
    assert it.commands[0][-5:-4] + it.commands[0][-3:] == ["http://here", str(tmp_path), "--data", str(tmp_path)]


async def test_what_an_earlier_process_has_logged_is_told_again_and_not_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    AlertState(tmp_path).write(AlertBook(changes=(replace(FIRED, at_unix_us=FIRED.at_unix_us - 1),)))
    it = Watched(tmp_path, monkeypatch)
    with caplog.at_level(logging.WARNING):
        await it.watch._look()
    assert len(it.noted) == 1
    assert "an alert fires" not in [record.message for record in caplog.records]


@pytest.mark.parametrize("is_well", [True, False])
async def test_what_cannot_be_looked_at_or_read_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_well: bool
) -> None:
    it = Watched(tmp_path, monkeypatch)
    it.is_well = is_well
    if is_well:
        (tmp_path / FILE_NAME).write_text("?")
    with caplog.at_level(logging.WARNING):
        await it.watch._look()
    assert [record.message for record in caplog.records] == [
        "alerts.json cannot be read: no alert is told; see `promptlane alerts ls`"
        if is_well
        else "the alerts could not be looked at"
    ]


async def test_it_looks_while_there_are_rules_or_something_fires_and_else_rests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fires = AlertBook(firing={"slow": Firing(fired=FIRED)})
    for policy, book in ((WATCHES, AlertBook()), (RESTS, fires)):
        it = Watched(tmp_path, monkeypatch, policy)
        it.state.write(book)
        running = asyncio.ensure_future(it.watch.run())
        async with asyncio.timeout(PATIENCE_S):
            await it.looked.wait()
        running.cancel()
        await asyncio.wait([running])
    it = Watched(tmp_path, monkeypatch)
    it.state.write(AlertBook())
    monkeypatch.setattr("proxy.app.alerts.IDLE_S", 0.001)
    running = asyncio.ensure_future(it.watch.run())
    await asyncio.wait([running], timeout=0.05)
    running.cancel()
    await asyncio.wait([running])
    assert it.commands == []
