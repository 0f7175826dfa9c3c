import orjson

from proxy.web.trace_page import PAGE_HEADERS, render

RECORD = orjson.dumps(
    {"properties": {"model": "gpt-4.1-mini", "status": "success", "latency_ms": 12.5, "output_tokens": 0}}
)


def test_each_call_of_the_trace_is_a_row_and_the_unknown_is_a_dash() -> None:
    page = render("t1", [RECORD, RECORD]).decode()
    assert page.count("<td>gpt-4.1-mini</td>") == 2
    assert "<td>12.5</td>" in page
    assert "<td>0</td>" in page
    assert "<td>–</td>" in page


def test_nothing_in_a_record_or_an_id_is_markup() -> None:
    evil = "<script>alert(1)</script>"
    page = render(evil, [orjson.dumps({"properties": {"model": evil, "status": "'\"><img onerror=x>"}})]).decode()
    assert "<script" not in page
    assert "<img" not in page


def test_an_unknown_trace_says_so() -> None:
    assert "No call of this trace" in render("t1", []).decode()


def test_the_page_may_load_and_run_nothing() -> None:
    assert PAGE_HEADERS["Content-Security-Policy"].startswith("default-src 'none'")
