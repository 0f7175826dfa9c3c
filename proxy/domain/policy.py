"""What analytics may say and keep: the values of analytics.yaml, with their defaults."""

from dataclasses import dataclass, field
from typing import Literal

from proxy.domain.fingerprints import PromptHashMode
from proxy.domain.identity import IdentityPolicy
from proxy.domain.prompt_versions import NO_DEMAND, VersionPolicy

_GIB = 1024**3
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Families:
    """Which events are made at all."""

    product: bool = True
    ai: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """How many events are made. `sample` is the share of traces kept, in [0, 1]; failed calls' ends always are."""

    started: bool = True
    attempt_failed: bool = True
    sample: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxBounds:
    """What may wait for PostHog, and how long the writer gathers rows before it commits them."""

    max_bytes: int = _GIB
    max_age_s: float = 7 * _DAY_S
    commit_ms: int = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreBounds:
    """What is kept of past exchanges."""

    max_bytes: int = 20 * _GIB
    max_age_s: float = 90 * _DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """The PostHog project. `api_key` None: events stay local. `host` has a scheme and no trailing slash."""

    api_key: str | None = field(default=None, repr=False)
    host: str = "https://us.i.posthog.com"
    capture: Literal["batch", "v1"] = "batch"
    gzip: bool = True
    secret_key: str | None = field(default=None, repr=False)
    """Opens the definitions of feature flags; None: no flag can be evaluated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagPolicy:
    """How often the definitions of feature flags are fetched, and which of a caller's own properties they may see."""

    poll_s: float = 60.0
    person_properties: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """What goes to an OpenTelemetry collector too. Where and how is said by the OTEL_* variables, to the SDK."""

    traces: bool = False
    content: bool = False
    """Spans tell what capture has kept of their calls."""
    metrics: bool = False
    spans_every_s: float = 5.0
    """Between two looks at what there is to tell."""
    batch_spans: int = 512

    @property
    def is_wanted(self) -> bool:
        """Anything of it was asked for."""
        return self.traces or self.metrics


@dataclass(frozen=True, slots=True)
class PublishableKey:
    """A key that may stand in a page for all to see: it sends feedback, about calls of `alias` or of no key."""

    key: str
    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomePolicy:
    """Who may tell outcomes besides those who have a proxy key."""

    feedback_token_s: int | None = None
    """How long the token on a reply lets its holder rate the call; None: replies carry none."""
    publishable_keys: tuple[PublishableKey, ...] = ()
    origins: frozenset[str] = frozenset()
    """Web origins whose pages may send feedback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyticsPolicy:
    """Everything that analytics.yaml says. `trace_url` None: the page on the bound address."""

    environment: str = "production"
    environment_header: bool = False
    """A client's `X-Environment` is believed."""
    families: Families = Families()
    volume: Volume = Volume()
    identity_mode: Literal["as_given", "hash", "none"] = "as_given"
    identity_salt: bytes | None = field(default=None, repr=False)
    prompt_hash: PromptHashMode = "hmac-sha256"
    prompt_hash_ignores_numbers: bool = False
    versions: VersionPolicy = NO_DEMAND
    allowed_properties: frozenset[str] = frozenset()
    flags: FlagPolicy = FlagPolicy()
    trace_url: str | None = None
    outbox: OutboxBounds = OutboxBounds()
    store: StoreBounds = StoreBounds()
    telemetry: Telemetry = Telemetry()
    outcomes: OutcomePolicy = OutcomePolicy()

    def identity(self, secret: bytes) -> IdentityPolicy:
        """The rules by which callers are told apart, under the installation's secret."""
        return IdentityPolicy(
            mode=self.identity_mode,
            secret=secret,
            salt=self.identity_salt,
            prompt_hash_mode=self.prompt_hash,
            prompt_hash_ignores_numbers=self.prompt_hash_ignores_numbers,
            allowed_properties=self.allowed_properties,
            environment=self.environment,
            allow_environment_header=self.environment_header,
            warns_of_wrappers=self.families.ai,
        )
