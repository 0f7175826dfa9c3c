from dataclasses import replace

import orjson
import pytest

from proxy.domain.chat import ModelCall, described, messages_of, parse
from proxy.domain.endpoints import Dialect, classify
from proxy.domain.errors import BadRequest
from proxy.domain.fingerprints import PromptHashing
from proxy.domain.json_members import MEMBERS_LIMIT, top_level_members
from proxy.domain.prompt_edit import PromptEdit
from proxy.domain.provenance import read_provenance
from proxy.domain.request_facts import RequestFacts, all_edited_facts, edited_facts, read_all_facts, read_facts

CHAT = classify("POST", "/v1/chat/completions", Dialect.OPENAI)
HASHING = PromptHashing(mode="hmac-sha256", secret=b"0123456789abcdef")
BODY = orjson.dumps(
    {
        "model": "m",
        "stream": True,
        "stream_options": {"x": 1},
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    }
)
PARSED = parse(BODY)


def hash_of(facts: RequestFacts) -> str | None:
    assert facts.provenance is not None
    return facts.provenance.prompt_hash


def test_a_body_says_who_is_asked() -> None:
    facts = read_facts(PARSED, BODY, CHAT)
    assert facts.call == ModelCall(requested_model="m", stream=True)
    assert facts.options == {"stream_options": {"x": 1}}
    assert (facts.provenance, facts.members) == (None, None)


def test_all_facts_are_the_same_and_all_that_can_be_read() -> None:
    some, everything = read_facts(PARSED, BODY, CHAT), read_all_facts(BODY, CHAT, HASHING)
    assert everything.members == tuple(top_level_members(BODY))
    assert everything.call == described(some.call, PARSED, messages_of(PARSED))
    assert everything.call.message_count == 2
    assert everything.options == some.options
    assert everything.provenance == read_provenance(PARSED, messages_of(PARSED), CHAT, HASHING)
    assert "brief" not in repr(everything)


def edit(text: str) -> PromptEdit:
    return PromptEdit(mode="prepend", text=text, template="Help {{who}}.")


def test_an_edited_body_says_what_it_says_then() -> None:
    body, facts = edited_facts(BODY, CHAT, HASHING, PromptEdit(mode="replace", text="Be kind.", template="Be kind."))
    assert replace(facts, members=tuple(top_level_members(body))) == read_all_facts(body, CHAT, HASHING)
    assert facts.call.message_count == 2
    same, everything = all_edited_facts(BODY, CHAT, HASHING, PromptEdit(mode="replace", text="Be kind."))
    assert (same, everything) == (body, read_all_facts(body, CHAT, HASHING))


def test_what_variables_bring_is_not_hashed_and_all_else_is() -> None:
    _, ada = edited_facts(BODY, CHAT, HASHING, edit("Help Ada."))
    _, alan = edited_facts(BODY, CHAT, HASHING, edit("Help Alan."))
    assert hash_of(ada) == hash_of(alan)
    others = [
        edited_facts(BODY.replace(b"brief", b"long"), CHAT, HASHING, edit("Help Ada."))[1],
        edited_facts(BODY, CHAT, HASHING, PromptEdit(mode="prepend", text="Help Ada.", template="Aid {{who}}."))[1],
        read_all_facts(BODY, CHAT, HASHING),
    ]
    assert len({hash_of(ada), *map(hash_of, others)}) == 4


def test_a_body_of_too_many_members_is_not_edited() -> None:
    body = orjson.dumps({"model": "m", **{str(number): 0 for number in range(MEMBERS_LIMIT)}})
    with pytest.raises(BadRequest) as refused:
        edited_facts(body, CHAT, HASHING, edit("x"))
    assert refused.value.code == "too_many_members"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b'{"model":"a","model":"b"}', "duplicate_model"),
        (b'{"model":"m",' + b",".join(b'"k%d":1' % n for n in range(10_001)) + b"}", "too_many_members"),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read_all_facts(body, CHAT, HASHING)
    assert refused.value.code == code
