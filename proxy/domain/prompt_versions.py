"""The version on every call: demanded where configuration says so, and inferred where nobody named one.

A version that was inferred stands for a text and not for a name that somebody gave, so it never meets a demand.
"""

from dataclasses import dataclass, replace
from typing import Literal

from proxy.domain.endpoints import Endpoint
from proxy.domain.errors import PromptVersionRequired
from proxy.domain.fingerprints import INFERRED, inferred_version
from proxy.domain.identity import Caller

Demand = Literal["observe", "warn", "enforce"]
"""What becomes of a call that names no version: nothing, a warning, or a refusal."""

WARNING = "prompt_version:missing"
PROMPTED = frozenset({"chat", "completions", "responses", "messages", "complete", "generate_content"})
"""Endpoints, by name, whose calls carry a prompt that somebody wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionPolicy:
    """`demand` is for calls whose route says nothing else."""

    demand: Demand = "observe"
    infers: bool = True


NO_DEMAND = VersionPolicy()


def demand_version(caller: Caller, endpoint: Endpoint) -> None:
    """Raise PromptVersionRequired where nobody has named one and the call carries a prompt."""
    if not _is_named(caller) and endpoint.name in PROMPTED:
        raise PromptVersionRequired(
            "Calls to this model must say which prompt version they run: send its id in the X-Prompt-Version header, "
            "or in the body's `metadata.prompt_version_id`.",
            code="prompt_version_required",
        )


def with_version(caller: Caller, endpoint: Endpoint, policy: VersionPolicy, demand: Demand | None = None) -> Caller:
    """The caller with the version that its events say. `demand` is the route's own."""
    if _is_named(caller) or endpoint.name not in PROMPTED:
        return caller
    demand = demand or policy.demand
    warnings = (*caller.warnings, WARNING) if demand == "warn" else caller.warnings
    if not policy.infers or caller.prompt_hash is None or caller.prompt_version_id is not None:
        return replace(caller, warnings=warnings) if demand == "warn" else caller
    return replace(
        caller,
        prompt_version_id=inferred_version(caller.prompt_hash),
        prompt_version_source=INFERRED,
        warnings=warnings,
    )


def _is_named(caller: Caller) -> bool:
    return caller.prompt_version_id is not None and caller.prompt_version_source != INFERRED
