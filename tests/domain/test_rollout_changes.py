from dataclasses import replace
from typing import Any

import orjson
import pytest

from proxy.domain.overrides import ChangedBy
from proxy.domain.rollout_changes import AtPostHog, RolloutChange, from_json, outcome_of, overrides_of, to_json

STOPPED = RolloutChange(
    id="01",
    flag="support-test",
    prompt="support",
    shares={"control": 100, "treatment": 0},
    changed_by=ChangedBy.GUARDRAIL,
    changed_at_unix_us=1_780_000_000_000_000,
    evidence="treatment breaks a guardrail",
    at_posthog=AtPostHog.PENDING,
)
RESUMED = replace(STOPPED, id="02", shares=None, changed_by=ChangedBy.OPERATOR, evidence="")


def test_the_last_change_of_a_flag_counts() -> None:
    override = overrides_of([STOPPED]).of("support-test")

    assert override is not None
    assert override.only_variant == "control"
    assert overrides_of([STOPPED, RESUMED]).of("support-test") is None
    assert overrides_of([RESUMED, STOPPED]).of("support-test") == override
    assert overrides_of([STOPPED, replace(RESUMED, flag="another")]).of("support-test") == override


def test_changes_are_kept_as_they_are() -> None:
    assert from_json(to_json([STOPPED, RESUMED])) == [STOPPED, RESUMED]


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"version":2,"changes":[]}', b'{"version":1,"changes":[{}]}'])
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"shares": {}},
        {"shares": {"control": 0, "treatment": 0}},
        {"shares": {"control": 300, "treatment": -200}},
        {"shares": {"control": "nan", "treatment": 100}},
        {"shares": {"con\r\ntrol": 100}},
        {"shares": [100]},
        {"changed_at_unix_us": 5 * 10**18},
        {"changed_at_unix_us": -1},
        {"changed_at_unix_us": "Infinity"},
    ],
)
def test_a_file_that_somebody_edited_deals_out_nobody_by_what_is_no_share_of_a_whole(changes: dict[str, Any]) -> None:
    document = orjson.loads(to_json([STOPPED]))
    document["changes"][0] |= changes
    with pytest.raises(ValueError, match=r"."):
        from_json(orjson.dumps(document))


def test_the_event_of_a_change_tells_it_whole_and_is_always_the_same() -> None:
    outcome = outcome_of(STOPPED)

    assert outcome == outcome_of(replace(STOPPED, at_posthog=AtPostHog.DONE))
    (event,) = outcome.events
    body = orjson.loads(event.body)
    assert body["event"] == "llm_rollout_changed"
    assert body["timestamp"] == "2026-05-28T20:26:40.000000+00:00"
    assert body["properties"] == {
        "prompt_name": "support",
        "posthog_flag": "support-test",
        "rollout_shares": {"control": "100", "treatment": "0"},
        "rollout_as_configured": False,
        "rollout_changed_by": "guardrail",
        "rollout_evidence": "treatment breaks a guardrail",
        "$process_person_profile": False,
        "$lib": "promptlane",
    }


def test_the_event_of_a_resumption_names_no_shares() -> None:
    (event,) = outcome_of(RESUMED).events

    assert event.uuid != outcome_of(STOPPED).events[0].uuid
    properties = orjson.loads(event.body)["properties"]
    assert properties["rollout_as_configured"] is True
    assert "rollout_shares" not in properties
    assert "rollout_evidence" not in properties
