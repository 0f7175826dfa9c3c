import orjson

from proxy.domain.outcome_properties import ROLLOUT_CHANGED
from proxy.domain.own_events import own_outcome

AT_US = 1_780_000_000_000_000


def test_an_event_of_the_proxy_itself_makes_no_person_and_is_the_same_each_time() -> None:
    outcome = own_outcome(ROLLOUT_CHANGED, "01", AT_US, {"prompt_name": "support", "anything_else": "x"})
    assert outcome == own_outcome(ROLLOUT_CHANGED, "01", AT_US, {"prompt_name": "support"})
    (event,) = outcome.events
    body = orjson.loads(event.body)
    assert body["distinct_id"] == "promptlane"
    assert body["properties"] == {"prompt_name": "support", "$process_person_profile": False, "$lib": "promptlane"}
    assert event.uuid != own_outcome(ROLLOUT_CHANGED, "02", AT_US, {}).events[0].uuid
