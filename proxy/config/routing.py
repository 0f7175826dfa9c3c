"""routing.yaml as written: providers, models, keys and limits. `routing_table` makes domain values of it."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from proxy.config.presets import ZERO_CONFIGURATION, IncludeUsage
from proxy.config.schema import Bytes, EnvName, Name, Seconds, Section, matching
from proxy.domain.limits import Limits

RetryCause = Annotated[
    str,
    BeforeValidator(lambda cause: str(cause) if type(cause) is int else cause),
    matching(r"connect|5xx|[45][0-9][0-9]", "use connect, 5xx, or a status such as 429"),
]
ModelName = Annotated[str, Field(min_length=1, max_length=200)]


class TimeoutsSection(Section):
    """`timeouts:` of a provider."""

    connect_s: Seconds = Decimal(5)
    first_byte_s: Seconds = Decimal(600)
    idle_s: Seconds = Decimal(600)
    total_s: Seconds | None = None


class ProviderSection(Section):
    """One entry of `providers:`."""

    kind: Literal["openai", "anthropic", "gemini", "azure_openai", "translated"] | None = None
    preset: str | None = None
    base_url: str | None = None
    credentials: Literal["passthrough"] | None = None
    key_env: EnvName | None = None
    timeouts: TimeoutsSection = TimeoutsSection()
    include_usage: IncludeUsage | None = None


class TargetSection(Section):
    """One entry of a model's `targets:`."""

    provider: Name
    model: ModelName | None = None
    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1


class RetriesSection(Section):
    """`retries:` of a model."""

    max: Annotated[int, Field(ge=0, le=10)] = 0
    on: tuple[RetryCause, ...] = ("connect", "429", "5xx")


class ModelSection(Section):
    """One entry of `models:`; `target` is short for one of `targets`."""

    target: str | None = None
    targets: Annotated[tuple[TargetSection, ...], Field(min_length=1, max_length=100)] | None = None
    fallback: Annotated[tuple[str, ...], Field(max_length=20)] = ()
    retries: RetriesSection = RetriesSection()


class DefaultProviderSection(Section):
    """`default_provider:`; null refuses what no model names."""

    openai: str | None = None
    anthropic: str | None = None
    gemini: str | None = None


class KeySection(Section):
    """One entry of `keys:`."""

    alias: Name
    hash: Annotated[
        str,
        matching(
            r"hmac-sha256:[0-9a-f]{64}",
            "paste what `promptlane keys` prints: hmac-sha256: and 64 lower-case hex digits",
        ),
    ]
    allow: tuple[ModelName, ...] = ("*",)
    environment: Name | None = None


class LimitsSection(Section):
    """`limits:` of the whole gateway."""

    body_bytes: Bytes = Limits().body_bytes
    streamed_bytes: Bytes = Limits().streamed_bytes
    body_silence_s: Seconds = Decimal(60)
    drain_s: Annotated[Decimal, Field(ge=0, le=3600)] = Decimal(30)


def _zero_configuration() -> dict[str, ProviderSection]:
    return {name: ProviderSection(preset=name) for name in ZERO_CONFIGURATION}


class RoutingFile(Section):
    """config/routing.yaml."""

    version: Literal[1]
    providers: dict[Name, ProviderSection] = Field(default_factory=_zero_configuration)
    models: dict[ModelName, ModelSection] = Field(default_factory=dict)
    default_provider: DefaultProviderSection = DefaultProviderSection()
    keys: tuple[KeySection, ...] = ()
    limits: LimitsSection = LimitsSection()
