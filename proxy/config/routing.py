"""routing.yaml as written: providers, models, keys and limits. `routing_table` makes domain values of it."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from proxy.config.capture import CaptureRuleSection
from proxy.config.checks import MOST_CHECKS, CheckSection
from proxy.config.fields import (
    Address,
    Bytes,
    EnvName,
    FlagKey,
    Matching,
    ModelName,
    ModelPattern,
    Name,
    Seconds,
    Section,
    Variant,
)
from proxy.config.presets import PRESETS, ZERO_CONFIGURATION, IncludeUsage
from proxy.config.wording import unknown
from proxy.domain.limits import Limits
from proxy.domain.prompt_versions import Demand

_CAUSE = Matching("cause", "connect|5xx|[45][0-9][0-9]", "use connect, 5xx, or a status such as 429")
RetryCause = Annotated[
    str,
    _CAUSE,
    BeforeValidator(lambda cause: str(cause) if type(cause) is int else cause),
    WithJsonSchema({**_CAUSE.for_editors, "type": ["string", "integer"], "minimum": 400, "maximum": 599}),
]


def _known_preset(name: str) -> str:
    if name not in PRESETS:
        raise ValueError(unknown("preset", name, PRESETS))
    return name


PresetName = Annotated[str, AfterValidator(_known_preset), WithJsonSchema({"type": "string", "enum": list(PRESETS)})]
Reference = Annotated[str, Field(title="`provider` or `provider/model`")]
ProviderName = Annotated[str, Field(title="provider")]


Percent = Annotated[Decimal, Field(ge=0, le=100, title="percent")]


class TimeoutsSection(Section):
    """How long a provider may take. A caller may ask for less with a header, never for more."""

    connect_s: Seconds = Decimal(5)
    """Until the connection stands."""
    first_byte_s: Seconds = Decimal(600)
    """From the request's last byte to the reply's first."""
    idle_s: Seconds = Decimal(600)
    """Each silence within the reply."""
    total_s: Seconds | None = None
    """All in all; null or absent: no limit."""


class ProviderSection(Section):
    """An upstream host under the name by which models refer to it. Needs a `preset`, or a `kind` and a `base_url`."""

    kind: Literal["openai", "anthropic", "gemini", "azure_openai", "translated"] | None = None
    """The dialect that the host speaks on the wire; `translated` is kept for a later release."""
    preset: PresetName | None = None
    """A known host, whose address and habits need not be written; any key beside it overrides what it says."""
    base_url: Address | None = None
    """The address as an SDK would have it, for OpenAI's dialect with `/v1`. Default: the preset's."""
    credentials: Literal["passthrough"] | None = None
    """Says that the caller's own key goes through, which holds wherever there is no `key_env`."""
    key_env: EnvName | None = None
    """The environment variable with the key to send here in place of the caller's, who then needs a proxy key."""
    timeouts: TimeoutsSection = TimeoutsSection()
    """How long this provider may take."""
    include_usage: IncludeUsage | None = None
    """Whether streams are asked to report their tokens: `auto` until the host refuses it, `inject` always, `never`.
    Default: the preset's, else `auto`."""


class TargetSection(Section):
    """A provider, and the model to ask it for."""

    provider: ProviderName
    """A name under `providers`."""
    model: ModelName | None = None
    """What the provider calls the model. Default: the name that the caller used."""
    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    """The share of calls that go here, against the weights of the other targets; 0 takes none."""


class RetriesSection(Section):
    """Further attempts at the same target, before the first byte went to the client."""

    max: Annotated[int, Field(ge=0, le=10)] = 0
    """How many, after the first. SDKs retry by themselves, so this is 0 unless you say otherwise."""
    on: tuple[RetryCause, ...] = ("connect", "429", "5xx")
    """After what: `connect` (no connection), `5xx`, or a status."""


class RolloutSection(Section):
    """Who gets which target, decided for each user: by the `flag` of a PostHog project, or by a `split`."""

    elsewhere = dict.fromkeys(("fallback", "retries"), "the model, beside `rollout`")

    flag: FlagKey | None = None
    """The key of the feature flag that decides. Needs POSTHOG_API_KEY and POSTHOG_SECRET_KEY."""
    split: Annotated[dict[Variant, Percent], Field(min_length=1)] | None = None
    """Without PostHog: the share of each variant in percent, which add up to 100. The order counts: a share that grows
    at its neighbour's expense keeps the users that it has."""
    key: FlagKey | None = None
    """What a split is called in events, as a flag is by its key. Default: `model-` and the model's name."""
    variants: Annotated[dict[Variant, Reference], Field(min_length=1)]
    """The target of each variant; those of a boolean flag are `true` and `false`."""
    default: Variant | None = None
    """The variant that runs where nothing can be decided, or one without a target. Default: the first."""


class ModelSection(Section):
    """Where calls for one model go. Needs a `target`, `targets` or a `rollout`, which all speak one dialect and are
    alike in their credentials."""

    target: Reference | None = None
    """One target."""
    targets: Annotated[tuple[TargetSection, ...], Field(min_length=1, max_length=100)] | None = None
    """Several, of which each call draws one by weight."""
    rollout: RolloutSection | None = None
    """Several, of which each user gets one, again and again."""
    fallback: Annotated[tuple[Reference, ...], Field(max_length=20)] = ()
    """What is tried in this order after the target has failed."""
    retries: RetriesSection = RetriesSection()
    """Further attempts at the same target."""
    checks: Annotated[tuple[CheckSection, ...], Field(max_length=MOST_CHECKS)] = ()
    """What is looked at in each answer, after the caller has it."""
    require_prompt_version: Demand | None = None
    """What becomes of calls without a prompt version. Default: as analytics.yaml says."""
    capture: CaptureRuleSection | None = None
    """Whether content of these calls is kept."""


class DefaultProviderSection(Section):
    """Where calls go whose model is not under `models`, by the dialect that they speak; null refuses them. Default:
    the provider that is named like the dialect, else the only one that speaks it."""

    openai: ProviderName | None = None
    """For `/v1/chat/completions`, `/v1/responses` and the rest of OpenAI's paths."""
    anthropic: ProviderName | None = None
    """For `/v1/messages`."""
    gemini: ProviderName | None = None
    """For `/v1beta/models/…`."""


class KeySection(Section):
    """A proxy key: what a caller sends in place of a provider's key. `promptlane keys new NAME` prints one."""

    alias: Name
    """What events call the key's owner; stands once."""
    hash: Annotated[
        str,
        Matching(
            "hash",
            r"hmac-sha256:[0-9a-f]{64}",
            "paste what `promptlane keys` prints: hmac-sha256: and 64 lower-case hex digits, never the key itself",
        ),
    ]
    """The key's hash, as `promptlane keys` prints it."""
    allow: tuple[ModelPattern, ...] = ("*",)
    """The models that the key may ask for, by the caller's names; `*` stands for anything."""
    environment: Name | None = None
    """The environment of calls with this key. Default: that of analytics.yaml."""
    capture: CaptureRuleSection | None = None
    """Whether content of calls with this key is kept."""


class LimitsSection(Section):
    """What one request may be, and how long a stopping proxy waits."""

    body_bytes: Bytes = Limits().body_bytes
    """The longest body that is read whole, as metered JSON is; decoded."""
    streamed_bytes: Bytes = Limits().streamed_bytes
    """The longest body that is passed on as it comes: files and forms."""
    body_silence_s: Seconds = Decimal(60)
    """Each pause of a client that sends its body."""
    drain_s: Annotated[Decimal, Field(ge=0, le=3600, title="seconds")] = Decimal(30)
    """How long running calls may go on after SIGTERM."""


def _zero_configuration() -> dict[str, ProviderSection]:
    return {name: ProviderSection(preset=name) for name in ZERO_CONFIGURATION}


_OF_ANALYTICS = (
    "environment", "families", "identity", "properties", "trace_url", "posthog", "events", "outbox", "store",
    "outcomes",
)  # fmt: skip


class RoutingFile(Section):
    """Which provider a call goes to, and with whose key."""

    elsewhere = dict.fromkeys(_OF_ANALYTICS, "analytics.yaml") | {
        "require_prompt_version": "analytics.yaml, or under a model"
    }

    version: Literal[1]
    """Of the file's format."""
    providers: dict[Name, ProviderSection] = Field(default_factory=_zero_configuration)
    """The hosts that calls may go to, by name. Default: openai, anthropic and gemini, with the caller's own key; a
    list that is written stands alone."""
    models: dict[ModelPattern, ModelSection] = Field(default_factory=dict)
    """Models by the name that callers use, or by a pattern in which `*` stands for anything. An exact name wins,
    then the pattern that says most."""
    default_provider: DefaultProviderSection = DefaultProviderSection()
    """Where the other models go."""
    keys: tuple[KeySection, ...] = ()
    """The proxy keys."""
    limits: LimitsSection = LimitsSection()
    """Bounds of each request."""
    upstream_client: Literal["native", "aiohttp"] = "native"
    """The HTTP client to providers: our own, or aiohttp's, which costs more CPU and behaves the same."""
