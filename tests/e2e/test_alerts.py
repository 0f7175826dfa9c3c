"""An alert through the real server: it fires and resolves once each, also over a restart."""

import asyncio
from pathlib import Path

from proxy.adapters.alert_state import AlertState
from tests.harness.bed import Bed, chat
from tests.harness.call import PATIENCE_S
from tests.harness.client import Plan, RawClient
from tests.harness.posthog import ScriptedPostHog
from tests.harness.provider import ScriptedProvider
from tests.harness.replies import json_reply
from tests.harness.webhook import ScriptedWebhook

CANARY = "CANARY-77aa"
RULES = """\
version: 1
every_s: 1
webhook: {url_env: HOOK}
rules:
"""
ERRORS = "  errors: {metric: error_rate, above: 0.5, min_calls: 3, where: {environment: production}}\n"


def told(posthog: ScriptedPostHog) -> list[str]:
    """Names of alerts' events, once for each time that they came."""
    return [event["event"] for event in posthog.delivered if event["event"].startswith("llm_alert_")]


async def is_told(bed: Bed) -> bool:
    """The webhook's answer has come to the proxy, and metrics tell of the alert."""
    async with RawClient(bed.served.port) as client:
        await client.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        text = (await client.reply("GET")).body.decode()
    return "\npromptlane_alerts_firing 1.0\n" in text and not AlertState(bed.served.data).read().unsent


async def test_an_alert_reaches_the_webhook_and_posthog_once_and_is_over_when_its_rule_is_gone(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    rules = tmp_path / "config" / "alerts.yaml"
    rules.write_text(RULES + ERRORS)
    async with ScriptedWebhook() as webhook:
        webhook.statuses = [500]
        bed = Bed(tmp_path, environment={"HOOK": webhook.url})
        bed.provider = ScriptedProvider(default=json_reply(500, {"error": {"message": f"overloaded by {CANARY}"}}))
        async with bed:
            await asyncio.gather(*(bed.outcome(Plan(body=chat())) for _ in range(4)))
            await webhook.wait_for(2)
            await bed.posthog.wait_for(lambda it: "llm_alert_fired" in told(it))
            async with asyncio.timeout(PATIENCE_S):
                while not await is_told(bed):  # noqa: ASYNC110 - other processes say so
                    await asyncio.sleep(0.05)
            await bed.served.terminate()
            await bed.served.start()
            rules.write_text(RULES.replace("rules:", "rules: {}"))
            await webhook.wait_for(3)
            await bed.posthog.wait_for(lambda it: "llm_alert_resolved" in told(it))
            await bed.served.terminate()
        assert [message["state"] for message in webhook.messages] == ["fired", "fired", "resolved"]
        assert {
            len({event["uuid"] for event in bed.posthog.delivered if event["event"] == name})
            for name in told(bed.posthog)
        } == {1}
        fired, _, resolved = webhook.messages
        assert (fired["value"], fired["calls"], fired["where"]) == (1.0, 4, {"environment": "production"})
        assert fired["link"].startswith(f"{bed.served.url}/ui/traces?")
        assert (resolved["because"], resolved["alert_id"]) == ("rule_gone", fired["alert_id"])
        output = bed.served.stdout + bed.served.stderr
        assert b"the webhook did not take the message of an alert; it is sent again" in output
        assert b"hidden" not in output
        assert CANARY not in repr(webhook.messages)
        assert b"hidden" not in (tmp_path / "data" / "alerts.json").read_bytes()
