import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.cli import main
from tests.harness.kept_calls import keep
from tests.harness.webhook import ScriptedWebhook

pytestmark = pytest.mark.usefixtures("alone")
RULES = """\
version: 1
rules:
  errors: {metric: error_rate, above: 0.1, times_usual: 3, min_calls: 4}
  slow: {metric: latency_ms, above: 900, window_s: 60}
  lost: {metric: dropped_events}
"""
HOOK = "webhook: {url_env: HOOK}\n"


def write(text: str) -> None:
    Path("config").mkdir(exist_ok=True)
    Path("config/alerts.yaml").write_text(text)


@pytest.fixture
def _calls(alone: None, tmp_path: Path) -> None:
    """Half of those just now failed."""
    at = datetime.now(UTC) - timedelta(seconds=5)
    keep(tmp_path / "data", [(at, {"status": ("success", "error")[number % 2]}) for number in range(8)])


@pytest.mark.usefixtures("_calls")
def test_the_rules_are_listed_with_their_numbers_before_and_after_a_look(capsys: pytest.CaptureFixture[str]) -> None:
    write(RULES)
    assert main(["alerts", "ls"]) == 0
    assert capsys.readouterr().out == (
        "errors  ok\n"
        "  error rate over 10 min: 50 %, may be 10 %, 8 calls\n"
        "slow  too few calls\n"
        "  p95 of latency over 60 s: unknown, may be 900 ms\n"
        "lost  ok\n"
        "  dropped events over 10 min: 0, may be 0\n"
        "Nobody is told: there is no webhook; see docs/alerts.md.\n"
    )
    assert main(["alerts", "check"]) == 0
    assert capsys.readouterr().out == ("Alert: errors: error rate over 10 min is 50 %, above 10 %, of 8 calls.\n")
    assert main(["alerts", "check", "--exit-code"]) == 1
    assert capsys.readouterr().out == "Still fires: errors.\n"
    assert main(["alerts", "ls"]) == 0
    assert capsys.readouterr().out.startswith("errors  fires since ")
    assert main(["alerts", "ls", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["looked_at"] is not None
    errors, slow, _ = told["rules"]
    assert errors.pop("fires_since") is not None
    assert errors == {
        "rule": "errors",
        "metric": "error_rate",
        "window_s": 600.0,
        "where": {},
        "value": 0.5,
        "limit": 0.1,
        "usual": None,
        "calls": 8,
    }
    assert (slow["value"], slow["fires_since"]) == (None, None)


@pytest.mark.usefixtures("_calls")
def test_what_fires_is_over_when_its_rule_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    write(RULES)
    main(["alerts", "check"])
    write("version: 1\n")
    capsys.readouterr()
    assert main(["alerts", "check", "--exit-code"]) == 0
    said = capsys.readouterr().out
    assert "Resolved after" in said
    assert said.endswith("No alert fires.\n")
    assert main(["alerts", "check"]) == 0
    assert capsys.readouterr().out.startswith("Nothing is watched: write rules into config/alerts.yaml")


@pytest.mark.usefixtures("_calls")
async def test_a_webhook_that_takes_nothing_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(RULES + HOOK)
    async with ScriptedWebhook() as webhook:
        monkeypatch.setenv("HOOK", webhook.url)
        webhook.statuses = [404, 404, 200]
        assert await asyncio.to_thread(main, ["alerts", "check", "--exit-code"]) == 1
        assert "The webhook did not take a message; the next look tries again." in capsys.readouterr().out
        assert await asyncio.to_thread(main, ["alerts", "check"]) == 0
        assert await asyncio.to_thread(main, ["alerts", "ls"]) == 0
        assert "1 message could not be sent to the webhook yet" in capsys.readouterr().out
        assert await asyncio.to_thread(main, ["alerts", "check"]) == 0
        assert "did not take" not in capsys.readouterr().out
    assert len(webhook.messages) == 3


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (200, 0, "The webhook took the message: it answered 200."),
        (308, 1, "The webhook answered 308, which leads elsewhere"),
        (403, 1, "The webhook did not take the message: it answered 403."),
    ],
)
async def test_a_trial_says_what_the_webhook_answers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, status: int, code: int, said: str
) -> None:
    write(RULES + HOOK)
    async with ScriptedWebhook() as webhook:
        monkeypatch.setenv("HOOK", webhook.url)
        webhook.statuses = [status]
        assert await asyncio.to_thread(main, ["alerts", "test"]) == code
    out = capsys.readouterr().out
    assert out.startswith(said)
    assert "hidden" not in out
    assert [message["state"] for message in webhook.messages] == ["test"]


@pytest.mark.parametrize(
    ("words", "text", "code", "said"),
    [
        (["test"], RULES, 2, "There is no webhook: write `webhook: {url_env: PROMPTLANE_ALERT_WEBHOOK}` into"),
        (
            ["test"],
            RULES + HOOK,
            2,
            "config/alerts.yaml:6:11: webhook.url_env: the environment variable HOOK is not set",
        ),
        (["check"], "rules: {}", 2, "config/alerts.yaml:1:1: version: this key is required"),
        (["check"], RULES, 1, "There is no journal in data/: name the proxy's own folder with --data."),
        (["ls"], RULES, 1, "There is no journal in data/"),
        (["ls", "--config", "nowhere"], RULES, 2, "nowhere: there is no such folder"),
    ],
)
def test_what_is_wrong_is_told(
    capsys: pytest.CaptureFixture[str], words: list[str], text: str, code: int, said: str
) -> None:
    write(text)
    assert main(["alerts", *words]) == code
    told = capsys.readouterr()
    assert told.err.startswith(said)
    assert told.out == ""
    assert not Path("data").exists()


@pytest.mark.usefixtures("_calls")
def test_a_damaged_file_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    write(RULES)
    Path("data/alerts.json").write_text("?")
    assert main(["alerts", "check"]) == 1
    assert capsys.readouterr().err == "data/alerts.json holds no alerts: move it away, and every alert begins anew.\n"


def test_an_empty_folder_watches_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["ls"], ["check", "--exit-code"]):
        assert main(["alerts", *words]) == 0
        assert capsys.readouterr().out.startswith("Nothing is watched")
    with pytest.raises(SystemExit):
        main(["alerts"])
