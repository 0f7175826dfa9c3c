"""Admission of a model call: the few facts that are read from the body; the bytes stay as they came."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """What one request body says, without its content. All strings are bounded to 200 characters."""

    requested_model: str | None = None
    stream: bool = False
    asks_for_usage: bool = False
    """The client itself set `stream_options.include_usage: true`."""
    temperature: float | None = None
    max_tokens: int | None = None
    message_count: int | None = None
    tool_count: int | None = None
    image_count: int | None = None
    wants_json: bool = False
    """A JSON object or schema was asked for (`response_format`, `text.format`, …)."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Scalar entries of the body's `metadata` (and OpenAI's `prompt.id`, `prompt.version` as
    `prompt_name`, `prompt_version_id`), read for the keys the headers contract names only."""
    user: str | None = field(default=None, repr=False)
    """`safety_identifier`, else `user`, else Anthropic's `metadata.user_id`."""
    instructions: str = field(default="", repr=False)
    """System and developer text and tool schemas, for the prompt hash alone; never emitted."""
