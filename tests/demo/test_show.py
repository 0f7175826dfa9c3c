from dataclasses import replace
from decimal import Decimal

import orjson
import pytest

from proxy.demo.show import HEADING, EventView, call_line
from proxy.domain.errors import ErrorType, Status
from proxy.domain.exchange import Exchange, Fate
from proxy.domain.journal_rows import JournalEvent
from proxy.domain.usage import Usage
from tests.harness.exchanges import PRICED, READING, attempt, caller, finished, running


def test_a_good_call_on_one_line_under_its_heading() -> None:
    line = call_line(finished(caller=caller(prompt_version_id="pv_2026_05_21_001")), in_colour=False)
    assert line == ("pv_2026_05_21_001    gpt-4.1-mini-2025-04-14    300 ms  1840 ms    1284→312  $0.004800  success")
    assert [line.index(word) for word in ("gpt", "success")] == [HEADING.index(word) for word in ("model", "status")]


def test_what_is_not_known_is_a_dash() -> None:
    line = call_line(running(caller=None, call=None), in_colour=False)
    assert line.split() == ["-"] * 7


def test_an_unknown_count_is_a_question_mark() -> None:
    reading = replace(READING, usage=Usage(output_tokens=7), first_token_ns=None, model=None)
    line = call_line(finished(attempt(reading=reading, cost=None)), in_colour=False)
    assert line.split() == ["-", "gpt-4.1-mini", "-", "1840", "ms", "?→7", "-", "success"]


def test_a_failure_is_named() -> None:
    failed = finished()
    failed.fate = Fate(status=Status.TIMEOUT, error_type=ErrorType.TIMEOUT_FIRST_BYTE)
    assert call_line(failed, in_colour=False).endswith("  timeout (timeout_first_byte)")


@pytest.mark.parametrize(
    ("status", "code"), [(Status.SUCCESS, 32), (Status.CANCELLED, 33), (Status.ERROR, 31), (Status.BLOCKED, 31)]
)
def test_the_status_has_a_colour_on_a_terminal(status: Status, code: int) -> None:
    exchange = finished()
    exchange.fate = Fate(status=status)
    assert call_line(exchange, in_colour=True).endswith(f"\x1b[{code}m{status.value}\x1b[0m")
    assert "\x1b" not in call_line(exchange, in_colour=False)


def test_long_names_and_great_numbers_stay_in_their_columns() -> None:
    cost = replace(PRICED, total_usd=Decimal("12.3456789"))
    reading = replace(READING, model="m" * 99)
    line = call_line(
        finished(attempt(cost=cost, reading=reading), caller=caller(prompt_version_id="v" * 99)), in_colour=False
    )
    assert line.split() == ["v" * 20, "m" * 24, "300", "ms", "1840", "ms", "1284→312", "$12.345679", "success"]
    assert line.index("success") == HEADING.index("status")


def hostile() -> Exchange:
    exchange = finished(attempt(reading=replace(READING, model="\x1b[2Jmodel")))
    exchange.caller = caller(prompt_version_id="v\n1")
    return exchange


def test_a_name_cannot_move_the_terminal_s_cursor() -> None:
    line = call_line(hostile(), in_colour=False)
    assert line.isprintable()


def event(name: str, number: int) -> JournalEvent:
    return JournalEvent(uuid=f"{name}-{number}", name=name, body=orjson.dumps({"event": name, "number": number}))


def test_events_are_counted_and_the_last_completed_one_is_shown() -> None:
    view = EventView()
    view.add([event("llm_request_started", 1), event("llm_request_completed", 1)])
    view.add([event("llm_request_completed", 2), event("$ai_generation", 2)])
    counts, example = view.summary().split("\n\nfor example:\n")
    assert counts == "1 × $ai_generation, 2 × llm_request_completed, 1 × llm_request_started"
    assert orjson.loads(example) == {"event": "llm_request_completed", "number": 2}


def test_where_nothing_completed_there_is_nothing_to_show() -> None:
    view = EventView()
    assert view.summary() == "no events yet"
    view.add([event("llm_request_failed", 1)])
    assert view.summary() == "1 × llm_request_failed"
