"""Which provider and model a call goes to: a table in, an ordered plan out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from proxy.domain.endpoints import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """`first_byte_s` runs from the request's last byte to the reply's first; `total_s` None: no limit."""

    connect_s: float = 5.0
    first_byte_s: float = 600.0
    idle_s: float = 600.0
    total_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One configured upstream host. `api_key` None means pass-through of the client's own credentials."""

    name: str
    label: str
    """What events say: openai, anthropic, google, azure_openai, or `name` for any other host."""
    kind: Literal["openai", "anthropic", "gemini", "azure_openai"]
    dialect: Dialect
    base_url: str
    """As the SDK would have it, without a trailing slash; OpenAI's includes `/v1`."""
    api_key: str | None = field(default=None, repr=False)
    timeouts: Timeouts = Timeouts()
    include_usage: Literal["auto", "inject", "never"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One provider and model to try; `model` None sends the name the client used."""

    provider: Provider
    model: str | None = None
    weight: int = 1

    @property
    def label(self) -> str:
        """`provider` or `provider/model`, for events, metrics and `X-LLM-Target`."""
        return f"{self.provider.name}/{self.model}" if self.model else self.provider.name


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Retries of the same target before commit. `on` holds "connect", "5xx" or a status such as "429"."""

    max: int = 0
    on: frozenset[str] = frozenset({"connect", "429", "5xx"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One entry of `models:`. `targets` are drawn by weight, `fallback` is tried in order after them."""

    pattern: str
    targets: tuple[Target, ...]
    fallback: tuple[Target, ...] = ()
    retries: RetryPolicy = RetryPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingTable:
    """`routes` in order of precedence; `defaults` by dialect, None where unnamed models are refused."""

    providers: Mapping[str, Provider]
    routes: tuple[Route, ...] = ()
    defaults: Mapping[Dialect, Provider | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Ordered targets: the drawn one first, then fallbacks."""

    targets: tuple[Target, ...]
    retries: RetryPolicy = RetryPolicy()
