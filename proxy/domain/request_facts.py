"""What a whole request body says: what must be known to send it on, or all of it, where that is read elsewhere."""

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from proxy.domain import chat
from proxy.domain.endpoints import Endpoint
from proxy.domain.errors import BadRequest
from proxy.domain.fingerprints import PromptHashing, prompt_hash
from proxy.domain.json_members import Member, duplicate_keys, has_escaped_letters, top_level_members
from proxy.domain.prompt_edit import PromptEdit, edited
from proxy.domain.prompts import VARIABLES
from proxy.domain.provenance import Provenance, instructions_of, read_provenance
from proxy.domain.values import value_class

_OPTIONS = ("stream_options", VARIABLES, "prompt")


@value_class
class RequestFacts:
    """What a body says. `options` is what an edit has to know of it: `stream_options`, the values for a managed prompt
    and a reference to one, where the client sent them."""

    call: chat.ModelCall
    options: Mapping[str, Any] = field(repr=False)
    provenance: Provenance | None = None
    """None where it has still to be read."""
    members: tuple[Member, ...] | None = None
    """Where its members stand, for edits; None where nobody has looked."""


def read_facts(parsed: Mapping[str, Any], body: bytes, endpoint: Endpoint) -> RequestFacts:
    """What the request needs to go on, of a body and its JSON. Raises BadRequest."""
    if "model" in parsed and (body.count(b'"model"') > 1 or has_escaped_letters(body)):
        _refuse_second_model(body)  # else a second one could only be spelt with escapes
    return RequestFacts(
        call=chat.admit(parsed, endpoint),
        options={name: parsed[name] for name in _OPTIONS if name in parsed and _is_option(name, parsed[name])},
    )


def _is_option(name: str, value: object) -> bool:
    """A `prompt` that is an object is a reference to one; else it is content."""
    return name != "prompt" or isinstance(value, dict)


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
    parsed = chat.parse(changed)
    facts, messages = read_facts(parsed, changed, endpoint), chat.messages_of(parsed)
    provenance = read_provenance(parsed, messages, endpoint, hashing)
    if edit.text is not None and edit.template is not None and edit.text != edit.template:
        as_written = instructions_of(parsed, messages).replace(edit.text, edit.template, 1)
        provenance = replace(provenance, prompt_hash=prompt_hash(as_written, hashing))
    return changed, replace(facts, call=chat.described(facts.call, parsed, messages), provenance=provenance)


def read_all_facts(body: bytes, endpoint: Endpoint, hashing: PromptHashing) -> RequestFacts:
    """All that another look at the body could be needed for, and no content. Raises BadRequest."""
    parsed = chat.parse(body)
    facts, messages = read_facts(parsed, body, endpoint), chat.messages_of(parsed)
    return replace(
        facts,
        call=chat.described(facts.call, parsed, messages),
        provenance=read_provenance(parsed, messages, endpoint, hashing),
        members=_members(body),
    )


def all_edited_facts(
    body: bytes, endpoint: Endpoint, hashing: PromptHashing, edit: PromptEdit
) -> tuple[bytes, RequestFacts]:
    """As `edited_facts`, with the same."""
    changed, facts = edited_facts(body, endpoint, hashing, edit)
    return changed, replace(facts, members=_members(changed))


def _members(body: bytes) -> tuple[Member, ...]:
    try:
        return tuple(top_level_members(body))
    except ValueError:
        raise _too_many_members() from None


def _refuse_second_model(body: bytes) -> None:
    """What is routed and metered must be what the provider reads, and parsers differ on which of two names wins."""
    try:
        names = duplicate_keys(body)
    except ValueError:
        raise _too_many_members() from None
    if "model" in names:
        raise BadRequest("The body names `model` more than once.", code="duplicate_model")


def _too_many_members() -> BadRequest:
    return BadRequest("The body has too many members.", code="too_many_members")
