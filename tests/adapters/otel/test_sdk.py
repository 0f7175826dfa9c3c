import asyncio

import pytest
import requests

from proxy import __version__
from proxy.adapters.otel.sdk import CollectorSession, Heard, resource_of
from tests.harness.collector import Collector


def test_the_service_is_named_and_the_operator_may_rename_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, another = resource_of("staging").attributes, resource_of("staging").attributes
    assert (ours["service.name"], ours["service.version"]) == ("promptlane", __version__)
    assert ours["deployment.environment.name"] == "staging"
    assert ours["service.instance.id"] != another["service.instance.id"]
    monkeypatch.setenv("OTEL_SERVICE_NAME", "gateway")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=pod-7,deployment.environment.name=eu")
    theirs = resource_of("staging").attributes
    assert (theirs["service.name"], theirs["deployment.environment.name"]) == ("gateway", "eu")
    assert theirs["service.instance.id"] == "pod-7"
    assert resource_of("staging", "-1").attributes["service.instance.id"] == "pod-7-1"


async def test_a_session_tells_what_the_last_answer_was(collector: Collector) -> None:
    session = CollectorSession()

    def post() -> Heard | None:
        session.post(collector.url, b"")
        return session.heard

    collector.headers, collector.reply = (("Retry-After", "7"),), b"said"
    assert await asyncio.to_thread(post) == Heard(200, "7", b"said")
    collector.status = 307
    with pytest.raises(requests.TooManyRedirects):
        await asyncio.to_thread(post)
    assert vars(session)["heard"] == Heard(307, "7", b"said")
    await collector.refuse()
    with pytest.raises(requests.ConnectionError):
        await asyncio.to_thread(post)
    assert (vars(session)["heard"], session.requests_sent) == (None, 3)
