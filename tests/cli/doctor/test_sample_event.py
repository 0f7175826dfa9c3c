import json

import pytest

from proxy.adapters.posthog_capture import Answer as Taken
from proxy.adapters.posthog_reply import Action, Outcome, Trouble
from proxy.cli.doctor import sample_event
from proxy.domain.policy import Destination
from tests.harness.posthog import QUOTA, Answer, ScriptedPostHog

NOW_S = 1_795_000_000.0


@pytest.mark.parametrize("capture", ["batch", "v1"])
async def test_one_event_without_content_and_person_is_sent(capture: str) -> None:
    async with ScriptedPostHog() as posthog:
        destination = Destination(api_key="phc_hidden", host=posthog.url, capture=capture)  # type: ignore[arg-type]
        finding = await sample_event.send(destination, lambda: NOW_S)
        (event,) = posthog.delivered
    assert finding.state == "ok"
    assert event["uuid"] in finding.advice
    assert (event["event"], event["distinct_id"]) == ("promptlane_doctor", "promptlane_doctor")
    assert event["timestamp"].startswith("2026-11-18T11:06:40")
    stated = event["options"] if capture == "v1" else event["properties"]
    assert stated["process_person_profile" if capture == "v1" else "$process_person_profile"] is False
    assert "hidden" not in repr(finding) + json.dumps(event)


async def test_a_host_that_knows_only_v0_is_sent_it_that_way() -> None:
    async with ScriptedPostHog() as posthog:
        posthog.scripts.append(Answer(status=404))
        destination = Destination(api_key="phc_hidden", host=posthog.url, capture="v1")
        assert (await sample_event.send(destination, lambda: NOW_S)).state == "ok"
        assert [post.path for post in posthog.posts] == ["/i/v1/analytics/events", "/batch/"]
        assert len(posthog.delivered) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(status=401), "not taken: unauthorized (401)"),
        (Answer(status=307), "not taken: redirected (307)"),
        (Answer(status=503), "not taken: server error (503)"),
        (QUOTA, "PostHog's quota of events is used up"),
        (Answer(body=b"<html>", keeps=False), "not taken: unreadable (200)"),
        (Answer(is_lost=True, keeps=False), "not taken: unreachable"),
    ],
)
async def test_what_becomes_of_it_otherwise(answer: Answer, said: str) -> None:
    async with ScriptedPostHog() as posthog:
        posthog.scripts.append(answer)
        finding = await sample_event.send(Destination(api_key="phc_hidden", host=posthog.url), lambda: NOW_S)
    assert (finding.state, finding.found) == ("fail", said)
    assert finding.advice


@pytest.mark.parametrize("trouble", Trouble)
def test_every_trouble_has_its_advice(trouble: Trouble) -> None:
    assert sample_event.read("u", Taken(200, Outcome(action=Action.WAIT, trouble=trouble))).advice


def test_an_event_that_is_refused_by_name() -> None:
    refused = Outcome(action=Action.SETTLE, dead={"refused": ("u",)})
    assert sample_event.read("u", Taken(200, refused)).state == "fail"


async def test_nothing_is_sent_without_a_project() -> None:
    assert (await sample_event.send(Destination(), lambda: NOW_S)).state == "skip"
