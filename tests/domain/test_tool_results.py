from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.tool_results import PARSED_CHARS, StatusSource, StepStatus, ended

GOOD, BAD = (StepStatus.SUCCESS, StatusSource.HEURISTIC), (StepStatus.ERROR, StatusSource.HEURISTIC)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"is_error": True, "content": "fine"}, (StepStatus.ERROR, StatusSource.PROVIDER)),
        ({"is_error": False, "content": "Error: no"}, (StepStatus.SUCCESS, StatusSource.PROVIDER)),
        ({"is_error": "yes", "content": "Error: no"}, BAD),
        ({"type": "apply_patch_call_output", "status": "failed"}, (StepStatus.ERROR, StatusSource.PROVIDER)),
        ({"type": "apply_patch_call_output", "status": "completed"}, (StepStatus.SUCCESS, StatusSource.PROVIDER)),
        ({"type": "function_call_output", "status": "completed", "content": "Error: no"}, BAD),
        ({"content": None}, (StepStatus.UNKNOWN, None)),
        ({"content": " "}, (StepStatus.UNKNOWN, None)),
        ({"content": [{"type": "image", "source": {}}]}, (StepStatus.UNKNOWN, None)),
        ({"content": [{"type": "image"}, {"type": "text", "text": "ValueError: x"}]}, BAD),
        ({"content": 5}, (StepStatus.UNKNOWN, None)),
    ],
)
def test_a_flag_counts_before_the_looks(item: dict[str, Any], expected: object) -> None:
    assert ended(item, item.get("content")) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Error: city not found",
        "error executing tool search: timeout",
        "An error occurred while running the tool. Please try again. Error: 'x'",
        "Unexpected error occurred",
        "  Error\n",
        "<tool_use_error>File does not exist.</tool_use_error>",
        "Traceback (most recent call last):\n  File …",
        "httpx.ReadTimeoutError: slow",
        "ToolException('no such file')",
        "Failed to fetch the page",
        "Command failed with exit code 1",
        "Tool call failed",
        "HTTP 404 Not Found",
        "503 Service Unavailable",
        "Permission denied (publickey)",
        '{"error": "city not found"}',
        '{"error": {"code": 7}}',
        '{"ok": false}',
        '{"success": false, "data": null}',
        '{"status": "failed"}',
        '{"isError": true, "content": []}',
        '{"error": "cut off…',
        '{"errors": ["a"], "x": "' + "y" * PARSED_CHARS + '"}',
    ],
)
def test_what_looks_like_an_error(text: str) -> None:
    assert ended({}, text) == BAD


@pytest.mark.parametrize(
    "text",
    [
        "21 degrees",
        "No error was found.",
        "The error rate is 2 %",
        "Errors in the log: 3",
        "errorless",
        "Exceptional weather",
        "Failed orders: 3",
        "404 orders were found",
        '{"error": null, "temp": 21}',
        '{"errors": [], "ok": true}',
        '{"status": "success", "note": "Error: none"}',
        '{"temp": 21}',
        '["error"]',
        '{"error": null, "x": "' + "y" * PARSED_CHARS + '"}',
        "x" * 100_000,
    ],
)
def test_what_does_not(text: str) -> None:
    assert ended({}, text) == GOOD


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_anything_can_be_judged(value: Any) -> None:
    item = value if isinstance(value, dict) else {"content": value}
    assert ended(item, item.get("content"))[0] in StepStatus
