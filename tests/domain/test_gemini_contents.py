from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.gemini_contents import messages_of_contents


def parts_of(*parts: object, role: str | None = "user") -> Any:
    (message,) = messages_of_contents([{"parts": [*parts], "role": role}])
    return message["content"]


def test_the_model_is_the_assistant_and_all_else_the_user() -> None:
    contents: list[dict[str, Any]] = [{"role": role, "parts": []} for role in ("user", "model", "function")]
    contents.append({"parts": []})
    roles = [message["role"] for message in messages_of_contents(contents)]
    assert roles == ["user", "assistant", "user", "user"]


def test_one_content_needs_no_list() -> None:
    assert [message["role"] for message in messages_of_contents({"parts": [{"text": "x"}]})] == ["user"]


def test_parts_have_a_type_each() -> None:
    call = {"functionCall": {"name": "find", "args": {"a": 1}, "id": "c1"}, "thoughtSignature": "c2ln"}
    result = {"functionResponse": {"name": "find", "response": {"error": "none"}, "id": "c1"}}
    made = parts_of({"text": "x"}, {"text": "hm", "thought": True}, call, result)
    assert [part["type"] for part in made] == ["text", "thinking", "tool_use", "tool_result"]
    assert (made[0]["text"], made[1]["thinking"]) == ("x", "hm")
    assert made[2] == {"type": "tool_use", "id": "c1", "name": "find", "input": {"a": 1}}
    assert made[3] == {"type": "tool_result", "tool_use_id": "c1", "content": '{"error":"none"}'}


def test_a_result_that_is_nested_too_deeply_to_be_written_says_nothing() -> None:
    nested: Any = 1
    for _ in range(1_000):  # as a body may
        nested = {"a": nested}
    (made,) = parts_of({"functionResponse": {"name": "find", "response": nested, "id": "c1"}})
    assert made == {"type": "tool_result", "tool_use_id": "c1", "content": ""}


def test_what_has_no_known_form_stays() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    assert parts_of(image, "loose", 5) == [image, "loose", 5]


@pytest.mark.parametrize("contents", [None, "text", 5, [], ["text"], [None]])
def test_what_is_no_content_is_left_out(contents: object) -> None:
    assert messages_of_contents(contents) == []


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "parts", "text", "thought", "functionCall", "functionResponse", "response", "args"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_VALUES)
def test_nothing_that_a_client_may_send_raises(contents: object) -> None:
    for message in messages_of_contents(contents):
        assert message["role"] in ("user", "assistant")
