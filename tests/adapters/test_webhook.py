import pytest

from proxy.adapters.webhook import send
from tests.harness.walk import free_port
from tests.harness.webhook import ScriptedWebhook


@pytest.mark.parametrize("status", [200, 204, 404, 500])
async def test_the_answer_s_status_is_told(status: int) -> None:
    async with ScriptedWebhook() as webhook:
        webhook.statuses = [status]
        assert await send(webhook.url, {"text": "ü"}) == status
        assert webhook.messages == [{"text": "ü"}]


async def test_a_redirect_is_not_followed() -> None:
    async with ScriptedWebhook() as webhook:
        webhook.statuses = [307]
        assert await send(webhook.url, {"text": "x"}) == 307
        assert len(webhook.messages) == 1


async def test_no_answer_is_none() -> None:
    assert await send(f"http://127.0.0.1:{free_port()}/", {}) is None
    async with ScriptedWebhook() as webhook:
        webhook.statuses = [0]
        assert await send(webhook.url, {}, patience_s=0.05) is None
