from typing import Any

import orjson

from proxy.web.trace_page import PAGE_HEADERS, render
from tests.harness.exchanges import RECEIVED_UNIX_US


def record(after_s: int = 0, **properties: Any) -> bytes:
    """Of a call that began so late."""
    received_unix_us = RECEIVED_UNIX_US + after_s * 1_000_000
    return orjson.dumps({"event": "e", "received_unix_us": received_unix_us, "properties": properties})


def test_each_call_of_the_trace_is_a_row_and_the_unknown_is_a_dash() -> None:
    good: dict[str, Any] = {"status": "success", "model": "gpt-4.1", "output_tokens": 0, "estimated_cost_usd": 0.00048}
    page = render("t1", [record(3, agent_step_name="answer", **good), record(latency_ms=1840.4, **good)]).decode()
    assert "<p>2 calls since 2026-05-28 20:26:40 UTC</p>" in page
    answer, plan = page.split("<tr>")[2:]
    assert answer.startswith("<td>20:26:43</td><td>answer</td><td>–</td><td>gpt-4.1</td>")
    assert "<td class=n>–</td><td class=n>0</td><td class=n>$0.000480</td>" in answer
    assert "<td class=n>1,840 ms</td>" in plan


def test_a_call_that_failed_stands_out_and_says_why() -> None:
    page = render("t1", [record(status="error", error_type="truncated"), record(status="cancelled")]).decode()
    assert "<tr class=bad>" in page
    assert "<td>error: truncated</td>" in page
    assert page.count("<tr class=bad>") == 1


def test_a_call_whose_process_died_was_interrupted() -> None:
    facts = orjson.dumps({"received_unix_us": RECEIVED_UNIX_US, "properties": {"endpoint": "chat"}})
    assert "<td>error: interrupted</td>" in render("t1", [facts]).decode()


def test_nothing_in_a_record_or_an_id_is_markup() -> None:
    evil = "<script>alert(1)</script>"
    page = render(evil, [record(model=evil, status="'\"><img onerror=x>")]).decode()
    assert "<script" not in page
    assert "<img" not in page


def test_an_unknown_trace_says_so() -> None:
    assert "No call of this trace" in render("t1", []).decode()


def test_the_page_may_load_and_run_nothing() -> None:
    assert PAGE_HEADERS["Content-Security-Policy"].startswith("default-src 'none'")
