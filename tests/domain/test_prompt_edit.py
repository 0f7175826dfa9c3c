"""What an edit makes of a body, member by member, and that it leaves everything else alone."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.json_members import top_level_members
from proxy.domain.prompt_edit import NoPlaceError, PromptEdit, edited, takes_instructions
from proxy.domain.prompts import Mode

OURS = {"role": "system", "content": "Ours."}
THEIRS = {"role": "system", "content": "Theirs."}
DEVELOPERS = {"role": "developer", "content": [{"type": "text", "text": "Theirs."}]}
USER = {"role": "user", "content": "hi"}
LATE = {"role": "system", "content": "Note: …"}
MODES: tuple[Mode, ...] = ("replace", "prepend", "fill")


def after(endpoint: str, mode: Mode, body: dict[str, Any], **edit: Any) -> dict[str, Any]:
    made: dict[str, Any] = orjson.loads(
        edited(orjson.dumps(body), endpoint, PromptEdit(mode=mode, **{"text": "Ours.", **edit}))
    )
    return made


@pytest.mark.parametrize(
    ("given", "replaced", "prepended", "filled"),
    [
        ([], [OURS], [OURS], [OURS]),
        ([USER], [OURS, USER], [OURS, USER], [OURS, USER]),
        ([THEIRS], [OURS], [OURS, THEIRS], [THEIRS]),
        ([THEIRS, DEVELOPERS, USER], [OURS, USER], [OURS, THEIRS, DEVELOPERS, USER], [THEIRS, DEVELOPERS, USER]),
        ([USER, LATE], [OURS, USER, LATE], [OURS, USER, LATE], [USER, LATE]),
        (["?", 3], [OURS, "?", 3], [OURS, "?", 3], [OURS, "?", 3]),
    ],
)
def test_messages_of_a_chat(given: list[Any], replaced: list[Any], prepended: list[Any], filled: list[Any]) -> None:
    body = {"model": "m", "messages": given, "tools": [{"type": "function"}]}
    for mode, expected in zip(MODES, (replaced, prepended, filled), strict=True):
        assert after("chat", mode, body) == {**body, "messages": expected}


@pytest.mark.parametrize("messages", ["hi", None, {"role": "user"}])
def test_a_chat_without_a_list_of_messages_has_no_place(messages: Any) -> None:
    with pytest.raises(NoPlaceError):
        after("chat", "replace", {"messages": messages})


def test_the_role_is_that_of_the_version() -> None:
    assert after("chat", "replace", {"messages": [USER]}, role="developer")["messages"][0]["role"] == "developer"


@pytest.mark.parametrize(
    ("body", "replaced", "prepended", "filled"),
    [
        ({"input": "hi"}, ("Ours.", "hi"), ("Ours.", "hi"), ("Ours.", "hi")),
        ({"instructions": None, "input": []}, ("Ours.", []), ("Ours.", []), ("Ours.", [])),
        (
            {"instructions": "Théirs.\n", "input": [USER]},
            ("Ours.", [USER]),
            ("Ours.\n\nThéirs.\n", [USER]),
            ("Théirs.\n", [USER]),
        ),
        ({"input": [THEIRS, USER]}, ("Ours.", [USER]), ("Ours.", [THEIRS, USER]), (None, [THEIRS, USER])),
        ({"input": [THEIRS]}, ("Ours.", [THEIRS]), ("Ours.", [THEIRS]), (None, [THEIRS])),
    ],
)
def test_instructions_of_a_response(
    body: dict[str, Any], replaced: tuple[Any, Any], prepended: tuple[Any, Any], filled: tuple[Any, Any]
) -> None:
    for mode, expected in zip(MODES, (replaced, prepended, filled), strict=True):
        made = after("responses", mode, body)
        assert (made.get("instructions"), made["input"]) == expected


PLAIN = {"type": "text", "text": "Theirs."}
CACHED = {**PLAIN, "cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("given", "replaced", "prepended", "filled"),
    [
        ({}, "Ours.", "Ours.", "Ours."),
        ({"system": ""}, "Ours.", "Ours.", "Ours."),
        ({"system": "Theirs."}, "Ours.", "Ours.\n\nTheirs.", "Theirs."),
        ({"system": [PLAIN]}, "Ours.", [{"type": "text", "text": "Ours."}, PLAIN], [PLAIN]),
        (
            {"system": [CACHED, 3]},
            [{**CACHED, "text": "Ours."}],
            [{"type": "text", "text": "Ours."}, CACHED, 3],
            [CACHED, 3],
        ),
    ],
)
def test_the_system_text_of_messages(given: dict[str, Any], replaced: Any, prepended: Any, filled: Any) -> None:
    body = {**given, "max_tokens": 5, "messages": [USER]}
    for mode, expected in zip(MODES, (replaced, prepended, filled), strict=True):
        assert after("messages", mode, body) == {**body, "system": expected}


def test_a_system_text_of_another_kind_has_nothing_before_it() -> None:
    with pytest.raises(NoPlaceError):
        after("messages", "prepend", {"system": 3})


@pytest.mark.parametrize("name", ["systemInstruction", "system_instruction"])
@pytest.mark.parametrize(
    ("given", "prepended"),
    [
        ({"parts": [{"text": "Theirs."}]}, [{"text": "Ours."}, {"text": "Theirs."}]),
        ({"role": "user", "parts": {"text": "Theirs."}}, [{"text": "Ours."}, {"text": "Theirs."}]),
        ("Theirs.", [{"text": "Ours."}, {"text": "Theirs."}]),
    ],
)
def test_the_instruction_of_gemini(name: str, given: Any, prepended: list[Any]) -> None:
    body = {name: given, "contents": []}
    assert after("generate_content", "replace", body) == {**body, name: {"parts": [{"text": "Ours."}]}}
    assert after("generate_content", "prepend", body) == {**body, name: {"parts": prepended}}
    assert after("generate_content", "fill", body) == body
    assert after("generate_content", "fill", {}) == {"systemInstruction": {"parts": [{"text": "Ours."}]}}


SET = {"temperature": 0.2, "top_p": 1, "max_tokens": 9, "seed": 7}


@pytest.mark.parametrize(
    ("endpoint", "given", "set_anew"),
    [
        ("chat", {}, {"temperature": 0.2, "top_p": 1, "max_completion_tokens": 9, "seed": 7}),
        ("chat", {"max_tokens": 5, "temperature": 1}, {"top_p": 1, "seed": 7}),
        ("responses", {"seed": 1}, {"temperature": 0.2, "top_p": 1, "max_output_tokens": 9}),
        ("messages", {"max_tokens": 1, "top_p": None}, {"temperature": 0.2, "seed": 7}),
    ],
)
def test_parameters_by_the_names_of_the_dialect(endpoint: str, given: dict[str, Any], set_anew: dict[str, Any]) -> None:
    assert after(endpoint, "fill", given, text=None, parameters=SET) == {**given, **set_anew}
    replaced = {**given, **{name: value for name, value in SET.items() if name in given}, **set_anew}
    for mode in ("replace", "prepend"):
        assert after(endpoint, mode, given, text=None, parameters=SET) == replaced


@pytest.mark.parametrize("name", ["generationConfig", "generation_config"])
def test_parameters_of_gemini_stand_together(name: str) -> None:
    given = {name: {"topP": 0.5, "max_output_tokens": 1, "stopSequences": ["x"]}}
    filled = {"temperature": 0.2, "topP": 0.5, "max_output_tokens": 1, "seed": 7, "stopSequences": ["x"]}
    assert after("generate_content", "fill", given, text=None, parameters=SET) == {name: filled}
    replaced = {**filled, "topP": 1, "max_output_tokens": 9}
    assert after("generate_content", "replace", given, text=None, parameters=SET) == {name: replaced}
    fresh = {"temperature": 0.2, "topP": 1, "maxOutputTokens": 9, "seed": 7}
    assert after("generate_content", "fill", {name: None}, text=None, parameters=SET) == {name: fresh}


def test_a_label_changes_nothing_but_takes_its_own_members_out() -> None:
    body = b'{ "model":"m" , "prompt_variables":{"a":1}, "messages" : [ ] }'
    edit = PromptEdit(mode="label", text="Ours.", parameters=SET, drop=("prompt_variables",))
    assert edited(body, "embeddings", edit) == b'{ "model":"m" , "messages" : [ ] }'


def test_an_endpoint_without_a_place_says_so() -> None:
    assert not takes_instructions("embeddings")
    with pytest.raises(NoPlaceError):
        after("embeddings", "replace", {"input": "x"})


def test_every_copy_of_a_member_is_edited() -> None:
    """Parsers differ on which of two counts."""
    body = b'{"messages":[{"role":"user"}],"temperature":1,"messages":[{"role":"system"}],"temperature":2}'
    made = edited(body, "chat", PromptEdit(mode="replace", text="Ours.", parameters={"temperature": 0}))
    ours = orjson.dumps(OURS)
    assert made == (
        b'{"messages":[' + ours + b',{"role":"user"}],"temperature":0,"messages":[' + ours + b'],"temperature":0}'
    )


def test_the_last_of_two_roles_counts() -> None:
    body = b'{"messages":[{"role":"user","role":"system"},{"role":"system","role":"user"}]}'
    made = edited(body, "chat", PromptEdit(mode="replace", text="Ours."))
    assert made == b'{"messages":[' + orjson.dumps(OURS) + b',{"role":"system","role":"user"}]}'


@given(
    st.lists(st.sampled_from([THEIRS, USER, DEVELOPERS, LATE]), max_size=6),
    st.sampled_from(MODES),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]),
    st.booleans(),
)
def test_no_byte_changes_outside_of_the_edited_members(
    messages: list[Any], mode: Mode, separators: tuple[str, str], ascii_only: bool
) -> None:
    given = {"model": "m", "tools": [{"é": 'sch"ema\\'}], "messages": messages, "new": {"temperature": 5}, "n": 1.0}
    body = json.dumps(given, separators=separators, ensure_ascii=ascii_only).encode()
    made = edited(body, "chat", PromptEdit(mode=mode, text="Ours…", parameters={"n": 2}))
    before, now = top_level_members(body), top_level_members(made)
    assert [member.name for member in now] == [member.name for member in before]
    for old, new in zip(before, now, strict=True):
        if old.name not in ("messages", "n"):
            assert made[new.start : new.value_end] == body[old.start : old.value_end]
    assert made[: now[2].value_start] == body[: before[2].value_start]
    kept = orjson.loads(made)["messages"]
    rest = kept[1:] if kept and kept[0] == {"role": "system", "content": "Ours…"} else kept
    assert rest == messages[len(messages) - len(rest) :]
