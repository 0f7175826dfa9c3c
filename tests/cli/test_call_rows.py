from itertools import product
from typing import Any

import pytest

from proxy.cli.call_rows import HEADING, WIDE_HEADING, call_row, wide_row
from proxy.cli.terminal import columns
from proxy.domain.errors import ErrorType, Status
from tests.harness.exchanges import RECEIVED_UNIX_US

GOOD: dict[str, Any] = {
    "prompt_version_id": "pv_2026_05_21_001",
    "model": "gpt-4.1-mini",
    "ttft_ms": 300.2,
    "latency_ms": 1840.0,
    "input_tokens": 1284,
    "output_tokens": 312,
    "estimated_cost_usd": 0.0048,
    "status": "success",
}


def row(**properties: Any) -> str:
    return call_row(RECEIVED_UNIX_US, properties, in_colour=False)


def test_a_good_call_on_one_line_under_its_heading() -> None:
    line = row(**GOOD)
    assert line == "20:26:40 pv_202…_21_001 gpt-4.1-mini   300ms  1.8s  1284→312 $0.004800 success"
    assert [line.index(word) for word in ("pv", "gpt", "success")] == [
        HEADING.index(word) for word in ("prompt", "model", "status")
    ]
    ends = [HEADING.index(word) + len(word) for word in ("ttft", "total", "tokens", "cost")]
    assert [line[:end].split()[-1] for end in ends] == ["300ms", "1.8s", "1284→312", "$0.004800"]


def test_what_is_not_known_is_a_dash() -> None:
    assert row().split()[1:] == ["-"] * 7


def test_a_count_that_is_not_known_is_a_question_mark() -> None:
    assert "?→7" in row(output_tokens=7)
    assert "0→0" in row(input_tokens=0, output_tokens=0)


@pytest.mark.parametrize(
    ("properties", "shown"),
    [
        ({"error_type": "provider_rate_limit", "status": "error"}, "  8ms provider_rate_limit error"),
        ({"error_type": "client_disconnect", "status": "cancelled"}, "  8ms   client_disconnect cancelled"),
        ({"error_type": "truncated", "status": "error", "estimated_cost_usd": 0.0}, "  8ms           truncated error"),
        ({"error_type": "truncated", "status": "error", "output_tokens": 3}, "  8ms       ?→3         - error"),
    ],
)
def test_a_failed_call_that_brought_nothing_tells_why(properties: dict[str, Any], shown: str) -> None:
    assert row(latency_ms=8, **properties).endswith(shown)


@pytest.mark.parametrize(
    ("cost_usd", "shown"),
    [
        (0, "$0.000000"),
        (1e-7, "<$.000001"),
        (0.000146, "$0.000146"),
        (12.345678, "$12.34568"),
        (99999.9, "$99999.9"),
        (123456789.0, "$123456789"),
    ],
)
def test_money(cost_usd: float, shown: str) -> None:
    assert f" {shown} " in row(estimated_cost_usd=cost_usd, status="success")


def test_no_row_is_wider_than_80_columns() -> None:
    names = {"prompt_version_id": "模" * 99, "model": "m" * 99, "ttft_ms": 9_999_000, "latency_ms": 9_999_000}
    numbers = {"input_tokens": 10**8, "output_tokens": 10**8, "estimated_cost_usd": 99.123456}
    for status, error_type in product(Status, [None, *ErrorType]):
        fate = {"status": status.value, "error_type": error_type}
        assert columns(row(**names, **fate)) <= 80
        assert columns(row(**names, **fate, **numbers)) <= 80
    assert columns(HEADING) <= 80


@pytest.mark.parametrize(
    ("status", "code"), [("success", 32), ("cancelled", 33), ("error", 31), ("of a later release", 31)]
)
def test_the_status_has_a_colour_on_a_terminal(status: str, code: int) -> None:
    line = call_row(RECEIVED_UNIX_US, {"status": status}, in_colour=True)
    assert f"\x1b[{code}m{status[:4]}" in line
    assert line.endswith("\x1b[0m")


def test_wide_is_uncut_and_names_the_call() -> None:
    told = {**GOOD, "endpoint": "chat", "target": "openai", "trace_id": "t" * 40, "exchange_id": "e1"}
    line = wide_row(RECEIVED_UNIX_US, told, in_colour=False)
    assert line.split() == [
        "2026-05-28", "20:26:40.000", "pv_2026_05_21_001", "gpt-4.1-mini", "chat", "openai", "300ms", "1.8s",
        "1284→312", "$0.004800", "success", "-", "t" * 40, "e1",
    ]  # fmt: skip
    assert [line.index(word) for word in ("chat", "success", "ttt")] == [
        WIDE_HEADING.index(word) for word in ("endpoint", "status", "trace")
    ]


@pytest.mark.parametrize("write", [call_row, wide_row])
def test_a_name_cannot_move_the_terminal_s_cursor(write: Any) -> None:
    hostile = {"prompt_version_id": "v\n1", "model": "\x1b[2Jmodel", "trace_id": "\x9b31m", "status": "\r"}
    assert write(RECEIVED_UNIX_US, hostile, in_colour=False).isprintable()
