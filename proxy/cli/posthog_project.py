"""What the verbs share that talk to PostHog's private API: which project, with which key, and what a refusal means."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.config.addresses import posthog_address, posthog_app_address
from proxy.domain.policy import Destination

if TYPE_CHECKING:
    from proxy.adapters.posthog_api import Refused


class Misused(Exception):
    """What was asked for does not exist, or cannot be asked for as things are; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Where the private API is, and the personal key for it."""

    host: str
    key: str = field(repr=False)
    project_id: str
    scopes: str
    """What the key must be allowed, in words."""


def find_project(env: Mapping[str, str], scopes: str) -> Project:
    """Raises Misused where something is missing."""
    key, project_id = env.get("POSTHOG_PERSONAL_API_KEY", ""), env.get("POSTHOG_PROJECT_ID", "")
    if not key:
        raise Misused(
            "POSTHOG_PERSONAL_API_KEY is not set. Make a personal API key (phx_…) in PostHog, under Settings →"
            f" Personal API keys, with {scopes}."
        )
    if not (project_id.isascii() and project_id.isdecimal()):
        raise Misused("POSTHOG_PROJECT_ID is not set to a number. It is the number in the address of the project.")
    return Project(host=find_host(env), key=key, project_id=project_id, scopes=scopes)


def find_host(env: Mapping[str, str]) -> str:
    """Where the private API is. Raises Misused."""
    try:
        return posthog_app_address(posthog_address(env.get("POSTHOG_HOST") or Destination().host))
    except ValueError as error:
        raise Misused(f"POSTHOG_HOST: {error}, such as https://eu.i.posthog.com") from None


def explained(error: "Refused", project: Project) -> str:
    """What to do about it."""
    advice = {
        401: f"{project.host} does not know the key. Is it a personal key (phx_…), and is the project in this region?"
        " POSTHOG_HOST says which.",
        403: f"the key needs {project.scopes}, and access to the project.",
        404: "there is no such project for this key. Look at POSTHOG_PROJECT_ID.",
        429: "PostHog's rate limit is used up for longer than this command waits. Try again in a few minutes.",
    }.get(error.status, "PostHog does not take it; a newer release of Promptlane may.")
    said = f" PostHog says: {error.detail}" if error.detail else ""
    return f"refused ({error.status}): {advice}{said}"
