from typing import Any

import orjson

from proxy.demo.show import COLUMNS, EventView
from proxy.domain.journal_rows import JournalEvent


def event(name: str, number: int = 0, **properties: Any) -> JournalEvent:
    body = orjson.dumps({"event": name, "uuid": f"u{number}", "properties": {"number": number, **properties}})
    return JournalEvent(uuid=f"{name}-{number}", name=name, body=body)


def seen(*events: JournalEvent) -> EventView:
    view = EventView()
    view.add(events)
    return view


def shown(*events: JournalEvent) -> Any:
    return orjson.loads(seen(*events).example() or "null")


def test_events_are_counted_by_name_in_the_order_of_a_call() -> None:
    view = seen(event("$ai_generation"), event("llm_request_completed"), event("llm_request_started"))
    view.add([event("llm_request_started")])
    assert view.counts().splitlines() == [
        "     2 × llm_request_started",
        "     1 × llm_request_completed",
        "     1 × $ai_generation",
    ]


def test_the_example_is_a_call_that_went_well_and_a_step_of_an_agent_if_there_was_one() -> None:
    step = event("llm_request_completed", 2, agent_step_name="answer")
    first, last = event("llm_request_completed", 1), event("llm_request_completed", 3)
    assert shown(first, event("llm_request_failed", 9), last)["uuid"] == "u1"
    assert shown(first, step, last)["uuid"] == "u2"


def test_the_example_is_the_event_itself_on_narrow_lines() -> None:
    properties: dict[str, Any] = {f"property_{number}": [number, None, True, "é" * number] for number in range(20)}
    text = seen(event("llm_request_completed", 1, **properties)).example() or ""
    assert orjson.loads(text) == {
        "event": "llm_request_completed",
        "uuid": "u1",
        "properties": {"number": 1, **properties},
    }
    assert max(map(len, text.splitlines())) <= COLUMNS
    assert len(text.splitlines()) < 25


def test_of_a_text_that_fits_no_line_the_beginning_is_shown() -> None:
    view = seen(event("llm_request_completed", prompt_hash="hmac:" + "f" * 99))
    text = view.example() or ""
    assert orjson.loads(text)["properties"]["prompt_hash"].startswith("hmac:ffff")
    assert max(map(len, text.splitlines())) <= COLUMNS


def test_where_nothing_completed_there_is_nothing_to_show() -> None:
    view = EventView()
    assert (view.counts(), view.example()) == ("  none yet", None)
    view.add([event("llm_request_failed")])
    assert (view.counts(), view.example()) == ("     1 × llm_request_failed", None)
