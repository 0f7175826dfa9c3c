"""What the files and the environment amount to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from proxy.domain.alerts import AlertPolicy
from proxy.domain.capture import CapturePolicy
from proxy.domain.keys import HashedKey
from proxy.domain.limits import Limits
from proxy.domain.policy import AnalyticsPolicy, Destination
from proxy.domain.price_book import PriceBook
from proxy.domain.prompts import PromptBook
from proxy.domain.routing import RoutingTable

Locked = Mapping[tuple[str, str], str]
"""The hash by the names of prompt and version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """All that the files and the environment say. `digest` names the files' bytes, not the environment's values."""

    files: Mapping[Path, bytes] = field(repr=False)
    """What it was made of; b"" stands for a file that is absent."""
    routing: RoutingTable
    keys: tuple[HashedKey, ...]
    limits: Limits
    drain_s: float
    upstream_client: Literal["native", "aiohttp"]
    analytics: AnalyticsPolicy
    destination: Destination
    prices: PriceBook
    prompts: PromptBook
    locked: Locked = field(repr=False)
    """The versions of prompts whose content is recorded."""
    capture: CapturePolicy
    alerts: AlertPolicy
    digest: str

    @property
    def flags(self) -> frozenset[str]:
        """The keys of PostHog's flags that rollouts ask for."""
        of_models = [route.rollout.rollout for route in self.routing.routes if route.rollout]
        of_prompts = [prompt.rollout for prompt in self.prompts.prompts.values() if prompt.rollout]
        return frozenset(rollout.flag for rollout in (*of_models, *of_prompts) if rollout.split is None)
