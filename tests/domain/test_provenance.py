from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.chat import messages_of
from proxy.domain.endpoints import Dialect, Endpoint, classify
from proxy.domain.fingerprints import PromptHashing, prompt_hash
from proxy.domain.provenance import Provenance, instructions_of, read_provenance
from tests.domain.test_chat import FIELDS, JSON

CHAT = classify("POST", "/v1/chat/completions", Dialect.OPENAI)
RESPONSES = classify("POST", "/v1/responses", Dialect.OPENAI)
MESSAGES = classify("POST", "/v1/messages", Dialect.ANTHROPIC)
EMBEDDINGS = classify("POST", "/v1/embeddings", Dialect.OPENAI)
GEMINI = classify("POST", "/v1beta/models/m:generateContent", Dialect.GEMINI)
HASHING = PromptHashing(mode="hmac-sha256", secret=b"0123456789abcdef")


def read(endpoint: Endpoint = CHAT, **body: Any) -> Provenance:
    return read_provenance(body, messages_of(body), endpoint, HASHING)


def instructions(**body: Any) -> str:
    return instructions_of(body, messages_of(body))


def test_a_body_tells_prompt_and_conversation_and_no_content() -> None:
    found = read(messages=[{"role": "system", "content": "CANARY 1"}, {"role": "user", "content": "CANARY 2"}])
    assert found.prompt_hash == prompt_hash("CANARY 1", HASHING)
    assert found.conversation is not None
    assert "CANARY" not in repr(found)
    assert read() == Provenance()


@given(body=st.dictionaries(FIELDS, JSON), endpoint=st.sampled_from([CHAT, RESPONSES, MESSAGES, EMBEDDINGS, GEMINI]))
def test_nothing_in_a_body_raises(body: dict[str, Any], endpoint: Endpoint) -> None:
    assert read(endpoint, **body) == read(endpoint, **body)


@pytest.mark.parametrize("wrong", [None, True, 3, "x", [], {}, [[]], [None, 1, "x"], {"a": {"b": 1}}, [{}]])
def test_wrong_types_say_nothing_of_the_user(wrong: object) -> None:
    assert read(MESSAGES, metadata=wrong, safety_identifier=[wrong]).user is None


def test_metadata_wins_over_a_stored_prompt_and_only_contract_keys_are_kept() -> None:
    found = read(
        RESPONSES,
        prompt={"id": "pmpt_1", "version": "2", "variables": {"name": "CANARY"}},
        metadata={"prompt_name": "own", "trace_id": 7, "prompt_version_id": None, "secret": "CANARY"},
    )
    assert found.metadata == {"prompt_name": "own", "prompt_version_id": "2", "trace_id": "7"}


def test_the_user_is_told_by_priority() -> None:
    assert read(user="u", safety_identifier="s").user == "s"
    assert read(user="u", safety_identifier="").user == "u"
    assert read(MESSAGES, metadata={"user_id": "a"}).user == "a"
    assert read(CHAT, metadata={"user_id": "a"}).user is None


def test_instructions_are_what_developers_wrote_and_not_what_users_said() -> None:
    found = instructions(
        system=[{"type": "text", "text": "one"}],
        instructions="two",
        messages=[
            {"role": "system", "content": "three"},
            {"role": "developer", "content": [{"type": "text", "text": "four"}]},
            {"role": "user", "content": "CANARY"},
            {"role": ["system"], "content": "CANARY"},
        ],
        input=[{"role": "system", "content": [{"type": "input_text", "text": "five"}]}],
        tools=[{"name": "f", "b": 1, "a": 2}],
    )
    assert found == 'two\none\nthree\nfour\nfive\n[{"a":2,"b":1,"name":"f"}]'


def test_gemini_instructions_and_none_for_embeddings() -> None:
    assert instructions(systemInstruction={"parts": [{"text": "one"}, {"text": "two"}]}) == "one\ntwo"
    assert read(EMBEDDINGS, instructions="x").prompt_hash is None


def test_tools_deeper_than_can_be_written_are_left_out() -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"items": deep}
    assert instructions(tools=[deep], instructions="x") == "x\n"
