import orjson
import pytest

from proxy.domain.endpoints import Dialect, classify
from proxy.domain.errors import BadRequest
from proxy.domain.json_members import MEMBERS_LIMIT, top_level_members
from proxy.domain.prompt_edit import PromptEdit
from proxy.domain.request_facts import PromptHashing, all_edited_facts, edited_facts, read_all_facts, read_facts

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


def test_a_body_says_who_is_asked_and_under_which_instructions() -> None:
    facts = read_facts(BODY, CHAT, HASHING)
    assert (facts.call.requested_model, facts.call.stream, facts.call.message_count) == ("m", True, 2)
    assert facts.options == {"stream_options": {"x": 1}}
    assert facts.prompt_hash is not None
    assert facts.prompt_hash.startswith("hmac-sha256:")
    assert facts.members is None


def test_all_facts_are_the_same_with_the_places_and_without_the_text() -> None:
    some, everything = read_facts(BODY, CHAT, HASHING), read_all_facts(BODY, CHAT, HASHING)
    assert everything.members == tuple(top_level_members(BODY))
    assert everything.call.instructions == ""
    assert (everything.prompt_hash, everything.options) == (some.prompt_hash, some.options)
    assert everything.conversation == some.conversation is not None
    assert "brief" not in repr(everything)


def edit(text: str) -> PromptEdit:
    return PromptEdit(mode="prepend", text=text, template="Help {{who}}.")


def test_an_edited_body_says_what_it_says_then() -> None:
    body, facts = edited_facts(BODY, CHAT, HASHING, PromptEdit(mode="replace", text="Be kind.", template="Be kind."))
    assert facts == read_facts(body, CHAT, HASHING)
    assert facts.call.message_count == 2
    same, everything = all_edited_facts(BODY, CHAT, HASHING, PromptEdit(mode="replace", text="Be kind."))
    assert (same, everything) == (body, read_all_facts(body, CHAT, HASHING))


def test_what_variables_bring_is_not_hashed_and_all_else_is() -> None:
    _, ada = edited_facts(BODY, CHAT, HASHING, edit("Help Ada."))
    _, alan = edited_facts(BODY, CHAT, HASHING, edit("Help Alan."))
    assert ada.prompt_hash == alan.prompt_hash
    others = [
        edited_facts(BODY.replace(b"brief", b"long"), CHAT, HASHING, edit("Help Ada."))[1],
        edited_facts(BODY, CHAT, HASHING, PromptEdit(mode="prepend", text="Help Ada.", template="Aid {{who}}."))[1],
        read_facts(BODY, CHAT, HASHING),
    ]
    assert len({ada.prompt_hash, *(facts.prompt_hash for facts in others)}) == 4


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
