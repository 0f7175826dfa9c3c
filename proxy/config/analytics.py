"""analytics.yaml: what events say and where they go, as written and as the domain takes it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from proxy.config.addresses import posthog_address
from proxy.config.capture import CaptureSection
from proxy.config.document import Document
from proxy.config.fields import Bytes, EnvName, Matching, Name, Section
from proxy.config.outcomes import OutcomesSection, compile_outcomes
from proxy.config.problems import is_secret, shown_variable
from proxy.config.telemetry import OtelSection, compile_telemetry
from proxy.domain.outcome_properties import RESERVED_NAMES
from proxy.domain.policy import AnalyticsPolicy, Destination, Families, FlagPolicy, OutboxBounds, StoreBounds, Volume
from proxy.domain.prompt_versions import Demand, VersionPolicy

_DAY_S = 86_400

PropertyName = Annotated[
    str,
    Matching(
        "property",
        r"[A-Za-z][A-Za-z0-9_.-]{0,63}",
        "use a letter, then letters, digits, `_`, `.` and `-`, at most 64",
    ),
]
TraceUrl = Annotated[
    str,
    Matching(
        "address of traces",
        r"https?://[^\s{}\x00-\x1f]*\{trace_id\}[^\s{}\x00-\x1f]*",
        "write an address that starts with http:// or https:// and has {trace_id} in it once, and no other braces, "
        "such as https://host/ui/traces/{trace_id}",
    ),
]
Days = Annotated[Decimal, Field(gt=0, le=3650, title="days")]


class FamiliesSection(Section):
    """Which events are made."""

    product: bool = True
    """`llm_request_started`, `llm_request_completed` and `llm_request_failed`."""
    ai: bool = True
    """PostHog's own `$ai_generation` and `$ai_embedding`, for its built-in pages."""


class IdentitySection(Section):
    """What becomes of the distinct id that an app sends. One that looks like an e-mail address or a key is hashed
    in any mode."""

    mode: Literal["as_given", "hash", "none"] = "as_given"
    """`as_given` passes it, `hash` hashes every one, `none` takes none."""
    salt_env: EnvName | None = None
    """The environment variable with the salt of the hashes. Default: the installation's secret."""


class PropertiesSection(Section):
    """An app's own properties, sent by header or in the body's metadata."""

    allow: tuple[PropertyName, ...] = ()
    """The names that pass; all others are dropped."""


class FlagsSection(Section):
    """How PostHog's feature flags are evaluated, where a rollout asks for one."""

    poll_s: Annotated[Decimal, Field(ge=5, le=3600, title="seconds")] = Decimal(60)
    """Between two fetches of the flags' definitions; PostHog bills each like ten flag requests."""
    person_properties: tuple[PropertyName, ...] = ()
    """Which of `properties.allow` a flag's conditions may go by, as the call brings them."""


class FingerprintSection(Section):
    """How prompts are told apart that carry no version of their own."""

    infer_version: bool = True
    """A call that names no version gets one that is made of its prompt's hash, such as fp_3f0a9c2b7d41."""
    ignore_numbers: bool = False
    """Numbers make no difference, where prompts fill in counts and amounts. Dates, times and ids never do."""


class PosthogSection(Section):
    """How events are sent to PostHog. Project and host come from POSTHOG_API_KEY and POSTHOG_HOST."""

    elsewhere = dict.fromkeys(("key", "api_key", "project_api_key", "token"), "the variable POSTHOG_API_KEY") | {
        "host": "the variable POSTHOG_HOST"
    }

    capture: Literal["batch", "v1"] = "batch"
    """The endpoint: `batch` is `/batch/`, `v1` the newer one."""
    gzip: bool = True
    """Bodies are compressed."""


class EventsSection(Section):
    """How many events are made."""

    started: bool = True
    """`llm_request_started`: one event for each call."""
    attempt_failed: bool = True
    """`llm_attempt_failed`: one event for each attempt that failed and was followed by another."""
    ai: bool = True
    """As `families.ai`; either turns that family off."""
    sample: Annotated[Decimal, Field(ge=0, le=1)] = Decimal(1)
    """The share of traces that is kept, from 0 to 1. The ends of failed calls are kept always."""


class OutboxSection(Section):
    """Events that wait for PostHog, on disk."""

    max_bytes: Bytes = OutboxBounds().max_bytes
    """The most that waits; what comes beyond it is dropped, and counted."""
    max_age_days: Days = Decimal(7)
    """The longest that one waits."""
    commit_ms: Annotated[int, Field(ge=1, le=50, title="milliseconds")] = OutboxBounds().commit_ms
    """How long events are gathered before they are written together."""


class StoreSection(Section):
    """Past calls, without content, on disk."""

    max_bytes: Bytes = StoreBounds().max_bytes
    """The most that is kept."""
    max_age_days: Days = Decimal(90)
    """The longest that one is kept."""


class AnalyticsFile(Section):
    """What events say, and where they wait."""

    elsewhere = dict.fromkeys(("providers", "models", "default_provider", "keys", "limits"), "routing.yaml")

    version: Literal[1]
    """Of the file's format."""
    environment: Name = "production"
    """On every event, such as production or staging."""
    environment_header: bool = False
    """Believe a caller's `X-Environment` instead."""
    families: FamiliesSection = FamiliesSection()
    """Which events are made."""
    identity: IdentitySection = IdentitySection()
    """What becomes of the ids that apps send."""
    properties: PropertiesSection = PropertiesSection()
    """An app's own properties."""
    flags: FlagsSection = FlagsSection()
    """PostHog's feature flags."""
    prompt_hash: Literal["hmac-sha256", "sha256"] = "hmac-sha256"
    """How instructions are hashed: under the installation's secret, or so that anybody can compute and compare it."""
    require_prompt_version: Demand = "observe"
    """What becomes of calls without a prompt version: nothing, a warning on their events and in `X-LLM-Warning`, or
    an answer of 400. A model in routing.yaml may say otherwise for its own calls."""
    fingerprint: FingerprintSection = FingerprintSection()
    """How prompts without a version are told apart."""
    trace_url: TraceUrl | None = None
    """The page of a trace as people reach it, with `{trace_id}` in it. Default: the page on the bound address."""
    capture: CaptureSection = CaptureSection()
    """Content of calls, for the page of a trace."""
    posthog: PosthogSection = PosthogSection()
    """How events are sent."""
    events: EventsSection = EventsSection()
    """How many events are made."""
    outbox: OutboxSection = OutboxSection()
    """Events that wait for PostHog."""
    store: StoreSection = StoreSection()
    """Past calls."""
    outcomes: OutcomesSection = OutcomesSection()
    """Feedback from pages."""
    otel: OtelSection = OtelSection()
    """What goes to an OpenTelemetry collector too."""


def compile_policy(document: Document, file: AnalyticsFile, env: Mapping[str, str]) -> AnalyticsPolicy:
    """The analytics policy; problems go to the document."""
    for index, name in enumerate(file.properties.allow):
        if name in RESERVED_NAMES:
            document.report(("properties", "allow", index), "this name is taken by a property of the proxy's own")
    for index, name in enumerate(file.flags.person_properties):
        if name not in file.properties.allow:
            document.report(("flags", "person_properties", index), "add this name to `properties.allow`, too")
    return AnalyticsPolicy(
        environment=file.environment,
        environment_header=file.environment_header,
        families=Families(product=file.families.product, ai=file.families.ai and file.events.ai),
        volume=Volume(
            started=file.events.started,
            attempt_failed=file.events.attempt_failed,
            sample=float(file.events.sample),
        ),
        identity_mode=file.identity.mode,
        identity_salt=_salt(document, file.identity, env),
        prompt_hash=file.prompt_hash,
        prompt_hash_ignores_numbers=file.fingerprint.ignore_numbers,
        versions=VersionPolicy(demand=file.require_prompt_version, infers=file.fingerprint.infer_version),
        allowed_properties=frozenset(file.properties.allow),
        flags=FlagPolicy(poll_s=float(file.flags.poll_s), person_properties=frozenset(file.flags.person_properties)),
        trace_url=file.trace_url,
        outbox=OutboxBounds(
            max_bytes=file.outbox.max_bytes,
            max_age_s=float(file.outbox.max_age_days * _DAY_S),
            commit_ms=file.outbox.commit_ms,
        ),
        store=StoreBounds(max_bytes=file.store.max_bytes, max_age_s=float(file.store.max_age_days * _DAY_S)),
        outcomes=compile_outcomes(document, file.outcomes),
        telemetry=compile_telemetry(document, file.otel, env),
    )


def _salt(document: Document, section: IdentitySection, env: Mapping[str, str]) -> bytes | None:
    """The salt is needed by `hash` alone; elsewhere its variable may be unset."""
    if section.salt_env is None:
        return None
    salt = env.get(section.salt_env, "")
    if not salt and section.mode == "hash":
        document.report(
            ("identity", "salt_env"), f"the environment variable {shown_variable(section.salt_env)} is not set or empty"
        )
    return salt.encode("utf-8", "surrogateescape") or None


def compile_destination(section: PosthogSection, environment: Document, env: Mapping[str, str]) -> Destination:
    """Where events go. Key and host come from the environment alone; their problems go to its document."""
    key = env.get("POSTHOG_API_KEY") or None
    if key is not None and is_secret(key) and not key.startswith("phc_"):
        environment.report(("POSTHOG_API_KEY",), f"this is {_kind_of_key(key)}; the project's key starts with phc_")
    elif key is not None and (not key.isascii() or not key.isprintable() or " " in key):
        environment.report(("POSTHOG_API_KEY",), "it holds characters that no key has")
    host = Destination().host
    if env.get("POSTHOG_HOST"):
        try:
            host = posthog_address(env["POSTHOG_HOST"])
        except ValueError as error:
            environment.report(("POSTHOG_HOST",), f"{error}, such as https://eu.i.posthog.com")
    secret_key = _flags_key(environment, env.get("POSTHOG_SECRET_KEY") or None)
    return Destination(api_key=key, host=host, capture=section.capture, gzip=section.gzip, secret_key=secret_key)


def _flags_key(environment: Document, key: str | None) -> str | None:
    """The key of flag definitions: a project's secret one, or a personal one that may read flags."""
    variable = "POSTHOG_SECRET_KEY"
    if key is not None and key.startswith("phc_"):
        environment.report((variable,), "this is the project's public key; definitions need its secret one, phs_…")
    elif key is not None and (not key.isascii() or not key.isprintable() or " " in key):
        environment.report((variable,), "it holds characters that no key has")
    return key


def _kind_of_key(key: str) -> str:
    if key.startswith("phx_"):
        return "a personal key"
    return "the key of feature flags" if key.startswith("phs_") else "no key of PostHog"
