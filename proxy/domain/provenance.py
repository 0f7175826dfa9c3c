"""Where a call comes from, as its body tells: on whose behalf, by which prompt, in which conversation.

None of it decides where the call goes, so it is read when the request is on its way. Like `domain.chat`, this knows
names and not schemas.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import orjson

from proxy.domain.chat import texts_of
from proxy.domain.conversation import Conversation, read_conversation
from proxy.domain.endpoints import Dialect, Endpoint
from proxy.domain.fingerprints import PromptHashing, prompt_hash
from proxy.domain.values import value_class

_METADATA_KEYS = ("prompt_version_id", "prompt_name", "trace_id")


@value_class
class Provenance:
    """What a body says of its origin, without content."""

    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Scalar entries of the body's `metadata` (and OpenAI's `prompt.id`, `prompt.version` as
    `prompt_name`, `prompt_version_id`), read for the keys the headers contract names only; unchecked."""
    user: str | None = field(default=None, repr=False)
    """`safety_identifier`, else `user`, else Anthropic's `metadata.user_id`; unchecked: `identity` bounds it."""
    prompt_hash: str | None = None
    conversation: Conversation | None = None


NOTHING_SAID = Provenance()


def read_provenance(
    parsed: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], endpoint: Endpoint, hashing: PromptHashing
) -> Provenance:
    """Read a parsed body and its `messages_of`. Never raises."""
    return Provenance(
        metadata=_metadata(parsed) if "metadata" in parsed or "prompt" in parsed else {},
        user=_user(parsed, endpoint.dialect),
        prompt_hash=prompt_hash("" if endpoint.is_embedding else instructions_of(parsed, messages), hashing),
        conversation=read_conversation(parsed, endpoint.api, hashing.secret),
    )


def _metadata(parsed: Mapping[str, Any]) -> dict[str, str]:
    stored = _object(parsed.get("prompt"))
    given = {"prompt_name": stored.get("id"), "prompt_version_id": stored.get("version")}
    own = _object(parsed.get("metadata"))
    given.update({key: own[key] for key in _METADATA_KEYS if own.get(key) is not None})
    return {
        key: str(value)
        for key, value in given.items()
        if isinstance(value, str | int) and not isinstance(value, bool) and value != ""
    }


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _user(parsed: Mapping[str, Any], dialect: Dialect) -> str | None:
    for slot in ("safety_identifier", "user"):
        if slot in parsed and isinstance(value := parsed[slot], str) and value:
            return value
    if dialect is Dialect.ANTHROPIC and "metadata" in parsed:
        value = _object(parsed["metadata"]).get("user_id")
        return value if isinstance(value, str) and value else None
    return None


def instructions_of(parsed: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> str:
    """System and developer text and tool schemas, for the prompt hash alone; never emitted."""
    texts: list[str] = []
    for slot in ("instructions", "system", "systemInstruction", "system_instruction"):
        if slot in parsed:
            texts += texts_of(parsed[slot])
    for message in messages:
        if "role" in message and message["role"] in ("system", "developer"):
            content = message.get("content")
            texts += (content,) if isinstance(content, str) else texts_of(content)
    for slot in ("tools", "functions"):
        if parsed.get(slot):
            texts.append(_canonical(parsed[slot]))
    return "\n".join(texts)


def _canonical(value: object) -> str:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:  # deeper than any schema a provider takes
        return ""
