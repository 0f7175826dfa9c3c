"""Everything that is read out of a whole request body, in one go, so that a large one can be read elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.domain import chat
from proxy.domain.conversation import Conversation, read_conversation
from proxy.domain.endpoints import Endpoint
from proxy.domain.errors import BadRequest
from proxy.domain.fingerprints import PromptHashMode, prompt_hash
from proxy.domain.json_members import Member, duplicate_keys, top_level_members
from proxy.domain.prompt_edit import PromptEdit, edited
from proxy.domain.prompts import VARIABLES
from proxy.domain.values import value_class

_OPTIONS = ("stream_options", VARIABLES, "prompt")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptHashing:
    """How instructions are hashed."""

    mode: PromptHashMode
    secret: bytes = field(repr=False)
    ignores_numbers: bool = False
    """Where templates fill in counts and amounts too."""


@value_class
class RequestFacts:
    """What a body says. `options` is what an edit has to know of it: `stream_options`, the values for a managed prompt
    and a reference to one, where the client sent them."""

    call: chat.ModelCall
    prompt_hash: str | None
    options: Mapping[str, Any] = field(repr=False)
    conversation: Conversation | None = None
    members: tuple[Member, ...] | None = None
    """Where its members stand, for edits; None where nobody has looked."""


def read_facts(body: bytes, endpoint: Endpoint, hashing: PromptHashing) -> RequestFacts:
    """Read a JSON body. Raises BadRequest."""
    parsed = chat.parse(body)
    if "model" in parsed:
        _refuse_second_model(body)
    call = chat.admit(parsed, endpoint)
    return RequestFacts(
        call=call,
        prompt_hash=_hashed(call.instructions, hashing),
        conversation=read_conversation(parsed, endpoint.api, hashing.secret),
        options={name: parsed[name] for name in _OPTIONS if name in parsed and _is_option(name, parsed[name])},
    )


def _is_option(name: str, value: object) -> bool:
    """A `prompt` that is an object is a reference to one; else it is content."""
    return name != "prompt" or isinstance(value, dict)


def _hashed(instructions: str, hashing: PromptHashing) -> str | None:
    return prompt_hash(instructions, hashing.mode, hashing.secret, ignores_numbers=hashing.ignores_numbers)


def edited_facts(
    body: bytes, endpoint: Endpoint, hashing: PromptHashing, edit: PromptEdit
) -> tuple[bytes, RequestFacts]:
    """The body after an edit, and what it says then. Raises NoPlaceError and BadRequest.

    The hash is that of the version's text as it is written: what variables bring differs from call to call.
    """
    try:
        changed = edited(body, endpoint.name, edit)
    except ValueError:
        raise _too_many_members() from None
    facts = read_facts(changed, endpoint, hashing)
    if edit.text is not None and edit.template is not None and edit.text != edit.template:
        as_written = facts.call.instructions.replace(edit.text, edit.template, 1)
        facts = replace(facts, prompt_hash=_hashed(as_written, hashing))
    return changed, facts


def read_all_facts(body: bytes, endpoint: Endpoint, hashing: PromptHashing) -> RequestFacts:
    """As `read_facts`, with all that another look at the body could be needed for, and without content."""
    return _all_of(body, read_facts(body, endpoint, hashing))


def all_edited_facts(
    body: bytes, endpoint: Endpoint, hashing: PromptHashing, edit: PromptEdit
) -> tuple[bytes, RequestFacts]:
    """As `edited_facts`, in the same way."""
    changed, facts = edited_facts(body, endpoint, hashing, edit)
    return changed, _all_of(changed, facts)


def _all_of(body: bytes, facts: RequestFacts) -> RequestFacts:
    try:
        members = tuple(top_level_members(body))
    except ValueError:
        raise _too_many_members() from None
    return replace(facts, call=replace(facts.call, instructions=""), members=members)


def _refuse_second_model(body: bytes) -> None:
    """What is routed and metered must be what the provider reads, and parsers differ on which of two names wins."""
    if body.count(b'"model"') < 2 and b"\\u00" not in body:
        return  # a second one could only be spelt with escapes
    try:
        names = duplicate_keys(body)
    except ValueError:
        raise _too_many_members() from None
    if "model" in names:
        raise BadRequest("The body names `model` more than once.", code="duplicate_model")


def _too_many_members() -> BadRequest:
    return BadRequest("The body has too many members.", code="too_many_members")
