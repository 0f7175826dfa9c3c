"""Who calls, and for what: the analytics headers and body fields as one typed, bounded value."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualKey:
    """A proxy key of the configuration; only its hash is known."""

    alias: str
    environment: str | None = None
    allow: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Everything that headers, key and body say about a call, after validation."""

    distinct_id: str
    is_anonymous: bool = False
    """No id was given: `distinct_id` is random for the trace and no person profile is made."""
    distinct_id_hashed: bool = False
    trace_id: str
    request_id: str
    session_id: str | None = None
    environment: str = "production"
    key_alias: str | None = None
    prompt_name: str | None = None
    prompt_version_id: str | None = None
    prompt_version_source: str = "missing"
    prompt_hash: str | None = None
    flags: tuple[tuple[str, str], ...] = ()
    """(flag key, variant) pairs in the order given; asserted by the client."""
    groups: Mapping[str, str] = field(default_factory=dict)
    task_type: str | None = None
    task_id: str | None = None
    agent_config_id: str | None = None
    agent_step_name: str | None = None
    retrieval_config_id: str | None = None
    document_type: str | None = None
    dataset_example_id: str | None = None
    retry_count: int | None = None
    properties: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    """`header:reason` for each malformed analytics value that was dropped."""
