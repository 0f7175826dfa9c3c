"""Changes the shares of a flag in PostHog: read, edit, send all of it back.

Somebody may edit the flag at the same time. So what is sent names the version that was read; where PostHog says that
it is not the newest any more, the flag is read and edited again.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from proxy.adapters.posthog_api import Refused
from proxy.domain.flag_filters import Unfit, with_shares

ATTEMPTS = 3
_CONFLICT = 409


class FlagsApi(Protocol):
    """Satisfied by `posthog_api.PostHogApi`."""

    def all(self, path: str, **parameters: str) -> AsyncIterator[dict[str, Any]]:
        """Every object of a list."""

    async def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """One object."""

    async def patch(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Change the fields that are given."""


async def set_shares(api: FlagsApi, flag: str, shares: Mapping[str, float], control: str) -> None:
    """Raises Unfit where the flag cannot be given these shares, Refused and Unavailable as the API does."""
    path = f"feature_flags/{await _id_of(api, flag)}/"
    for attempt in range(1, ATTEMPTS + 1):
        found = await api.get(path)
        filters = found.get("filters")
        if not isinstance(filters, dict):
            raise Unfit("its conditions are not of a form that is known here")
        changed = with_shares(filters, shares, control)
        if changed == filters:
            return
        document: dict[str, Any] = {"key": flag, "filters": changed}
        if found.get("version") is not None:
            document["version"] = found["version"]
        try:
            await api.patch(path, document)
        except Refused as refused:
            if refused.status != _CONFLICT or attempt == ATTEMPTS:
                raise
        else:
            return


async def _id_of(api: FlagsApi, flag: str) -> int:
    async for found in api.all("feature_flags/", search=flag):
        if found.get("key") == flag and not found.get("deleted") and isinstance(found.get("id"), int):
            return int(found["id"])
    raise Unfit("the project has no flag of this key")
