"""Changing a rollout, step by step: here at once, then in PostHog, where a key may."""

import asyncio
import os
from collections.abc import Mapping
from time import time_ns
from uuid import uuid4

from proxy.adapters.posthog_api import PostHogApi, Refused, Unavailable
from proxy.adapters.posthog_flag import set_shares
from proxy.adapters.rollout_state import RolloutState
from proxy.cli.configured_rollouts import NamedRollout
from proxy.cli.posthog_project import Misused, Project, explained, find_project
from proxy.domain.flag_filters import Unfit
from proxy.domain.overrides import ChangedBy
from proxy.domain.rollout_changes import AtPostHog, RolloutChange

SCOPES = "the scope feature_flag:write"


def change_of(
    named: NamedRollout, shares: Mapping[str, float] | None, changed_by: ChangedBy, evidence: str
) -> RolloutChange:
    """The change, made now. PostHog is to follow where the rollout is a flag of its own and a key is at hand."""
    follows = shares is not None and named.rollout.split is None and _project() is not None
    return RolloutChange(
        id=str(uuid4()),
        flag=named.rollout.flag,
        prompt=named.name,
        shares=shares,
        changed_by=changed_by,
        changed_at_unix_us=time_ns() // 1_000,
        evidence=evidence,
        at_posthog=AtPostHog.PENDING if follows else AtPostHog.NOT_ASKED,
    )


def stop_shares(named: NamedRollout) -> dict[str, float]:
    """Control gets everybody."""
    return {variant: 100.0 if variant == named.rollout.default else 0.0 for variant in named.variants}


def follow_in_posthog(state: RolloutState, change: RolloutChange, control: str) -> str | None:
    """Set the shares of PostHog's flag, if they are to be; what came of it in words, None where nothing was to be done.

    Raises OSError, Damaged.
    """
    project = _project()
    if change.at_posthog is not AtPostHog.PENDING or change.shares is None or project is None:
        return None
    try:
        asyncio.run(_set(project, change, control))
    except Refused as error:
        state.note(change.id, AtPostHog.REFUSED)
        return f"PostHog's flag {change.flag} is unchanged: {explained(error, project)}"
    except Unfit as error:
        state.note(change.id, AtPostHog.REFUSED)
        return f"PostHog's flag {change.flag} is unchanged: {error}."
    except Unavailable as error:
        return f"PostHog's flag {change.flag} is unchanged for now, since {error}; the proxy will try again."
    state.note(change.id, AtPostHog.DONE)
    return f"PostHog's flag {change.flag} has the same shares now."


async def _set(project: Project, change: RolloutChange, control: str) -> None:
    async with PostHogApi(project.host, project.key, project.project_id) as api:
        await set_shares(api, change.flag, change.shares or {}, control)


def _project() -> Project | None:
    """None where no key or no project is named: then PostHog is left alone."""
    try:
        return find_project(os.environ, SCOPES)
    except Misused:
        return None
