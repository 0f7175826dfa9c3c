"""Rolling out: a call that asks for a managed prompt gets a version of it, and says which on all that is told of it.

The version is the one that the call itself names, else that of the flag's or the split's variant, else the default.
Where a version cannot run here, the call goes on as the client sent it, its labels stay the client's own, and a
warning says why: only a call that is nothing without its prompt is refused.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from proxy.domain.chat import ModelCall
from proxy.domain.errors import BadRequest
from proxy.domain.exchange import Exchange
from proxy.domain.prompt_edit import NoPlaceError, PromptEdit, takes_instructions
from proxy.domain.prompts import (
    VARIABLES,
    Assignment,
    ManagedPrompt,
    PromptVersion,
    name_in_model,
    rendered,
    values_for,
)
from proxy.domain.request_facts import edited_facts
from proxy.pipeline.acquaint import acquaint
from proxy.pipeline.admit import LARGE_BODY_BYTES
from proxy.pipeline.call import Body, Call
from proxy.pipeline.client_body import WholeBody
from proxy.pipeline.rollouts import assign
from proxy.pipeline.services import Services

Source = Literal["rollout", "header", "body"]
_NO_PLACE, _UNKNOWN_VERSION = "prompt:no_place", "prompt_version:unknown"
"""Warnings, as events name them."""


async def roll_out(body: Body, call: Call) -> Body:
    """The body as the version has it, or the same; fills `exchange.assignment`.

    Raises UnknownModel for a model that is no prompt, and BadRequest where a variable is missing.
    """
    exchange = call.exchange
    if exchange.call is None:
        return body
    caller, model_call = acquaint(call), exchange.call
    prompt = call.snapshot.prompts.asked_for(model_call.requested_model, caller.prompt_name)
    if prompt is None:
        return body
    if prompt.mode != "label" and not (isinstance(body, WholeBody) and takes_instructions(exchange.endpoint.name)):
        return _unchanged(body, prompt, exchange, _NO_PLACE)
    chosen = _choose(prompt, exchange, call.services)
    if chosen is None:
        return _unchanged(body, prompt, exchange, _UNKNOWN_VERSION)
    version, source = chosen
    exchange.caller = replace(
        caller, prompt_name=prompt.name, prompt_version_id=version.id, prompt_version_source=source
    )  # from here on a refusal is the version's, too
    assignment = Assignment(prompt=prompt.name, version=version, model=_model(prompt, version, model_call))
    if isinstance(body, WholeBody):
        try:
            body, changes = await _rewritten(body, prompt, version, call)
        except NoPlaceError:
            exchange.caller, exchange.decisions = caller, ()  # whatever was decided did not run
            return _unchanged(body, prompt, exchange, _NO_PLACE)
        exchange.caller = replace(exchange.caller, **changes)
        # which model the caller named, and whether it streams, no version changes
        exchange.call = replace(body.facts.call, requested_model=model_call.requested_model, stream=model_call.stream)
    exchange.assignment = assignment
    return body


def _unchanged(body: Body, prompt: ManagedPrompt, exchange: Exchange, warning: str) -> Body:
    """The call goes on as it came, unless its model or its `prompt` is a name that no provider knows."""
    assert exchange.caller is not None
    assert exchange.call is not None
    is_referred_to = isinstance(body, WholeBody) and _reference(prompt, exchange, body.facts.options) is not None
    if is_referred_to or name_in_model(exchange.call.requested_model) is not None:
        raise _refusal(warning)
    exchange.caller = replace(exchange.caller, warnings=(*exchange.caller.warnings, warning))
    return body


def _refusal(warning: str) -> BadRequest:
    if warning == _UNKNOWN_VERSION:
        return BadRequest(
            "The prompt has no version of this name in config/prompts.yaml.", code="prompt_version_unknown"
        )
    return BadRequest(
        "This prompt has instructions, and the call has no place for them. Send it to the chat, responses or messages "
        "endpoint, with a list of messages.",
        code="prompt_no_place",
    )


def _choose(prompt: ManagedPrompt, exchange: Exchange, services: Services) -> tuple[PromptVersion, Source] | None:
    """The version and who says so; None where the call names one that the configuration does not know."""
    caller = exchange.caller
    assert caller is not None
    if caller.prompt_version_id is not None:
        named = prompt.versions.get(caller.prompt_version_id)
        return None if named is None else (named, "body" if caller.prompt_version_source == "body" else "header")
    if prompt.rollout is None:
        return prompt.versions[prompt.default], "rollout"
    return prompt.version_of(assign(prompt.rollout, exchange, services).variant), "rollout"


def _model(prompt: ManagedPrompt, version: PromptVersion, call: ModelCall) -> str | None:
    """The model to ask for; None: the caller's. Raises BadRequest where neither names one."""
    if name_in_model(call.requested_model) is not None:
        if version.model is None:
            raise BadRequest(
                "The model asks for a prompt whose version names no model; add one in config/prompts.yaml, or name "
                "the model in the call and the prompt in X-Prompt-Name.",
                code="prompt_has_no_model",
            )
        return version.model
    if prompt.mode == "label" or (prompt.mode == "fill" and call.requested_model is not None):
        return None
    return version.model


async def _rewritten(
    body: WholeBody, prompt: ManagedPrompt, version: PromptVersion, call: Call
) -> tuple[WholeBody, dict[str, Any]]:
    """The body after the edit, and what its caller says otherwise then.

    Raises NoPlaceError, and BadRequest where a variable is missing.
    """
    exchange, snapshot, services = call.exchange, call.snapshot, call.services
    assert exchange.caller is not None
    drop, sent = _own_members(prompt, exchange, body.facts.options)
    values = values_for(prompt, sent)
    changes: dict[str, Any] = {"warnings": (*exchange.caller.warnings, *values.warnings)}
    edit = PromptEdit(mode=prompt.mode, drop=drop)
    if prompt.mode != "label":
        text = None if version.text is None else rendered(prompt, version.text, values.values)
        edit = replace(edit, text=text, template=version.text, role=version.role, parameters=version.parameters)
    if edit.text is None and not edit.parameters and not drop:
        return body, changes
    if len(body.decoded) > LARGE_BODY_BYTES:
        data, facts = await services.edit_elsewhere(body.decoded, exchange.endpoint, snapshot.hashing, edit)
    else:
        data, facts = edited_facts(body.decoded, exchange.endpoint, snapshot.hashing, edit)
    if edit.text is not None:
        changes["prompt_hash"] = facts.provenance.prompt_hash if facts.provenance else None
    return WholeBody(raw=data, decoded=data, facts=facts, is_edited=True), changes


def _own_members(
    prompt: ManagedPrompt, exchange: Exchange, options: Mapping[str, Any]
) -> tuple[tuple[str, ...], object]:
    """Members that are for the proxy alone, and the values for the prompt's variables."""
    drop = (VARIABLES,) if VARIABLES in options else ()
    if (reference := _reference(prompt, exchange, options)) is None:
        return drop, options.get(VARIABLES)
    return (*drop, "prompt"), options.get(VARIABLES, reference.get("variables"))


def _reference(prompt: ManagedPrompt, exchange: Exchange, options: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """OpenAI's own `prompt` of a Responses call, where its id is the prompt's name here."""
    found: Mapping[str, Any] | None = options.get("prompt") if exchange.endpoint.name == "responses" else None
    return found if found is not None and found.get("id") == prompt.name else None
