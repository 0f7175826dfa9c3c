"""analytics.yaml: what events say and where they go, as written and as the domain takes it."""

from collections.abc import Mapping
from decimal import Decimal
from string import Formatter
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from proxy.config.addresses import posthog_address
from proxy.config.document import Document
from proxy.config.schema import Bytes, EnvName, Name, Section, matching
from proxy.domain.event_properties import RESERVED_NAMES
from proxy.domain.policy import AnalyticsPolicy, Destination, Families, OutboxBounds, StoreBounds, Volume

_DAY_S = 86_400


def _trace_url(text: str) -> str:
    if not text.startswith(("http://", "https://")) or not text.isprintable():
        raise ValueError("a trace URL starts with http:// or https://")
    try:
        names = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError:
        names = []
    if names != ["trace_id"] or "{trace_id}" not in text:
        raise ValueError("a trace URL has {trace_id} in it once, and no other braces")
    return text


PropertyName = Annotated[
    str, matching(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", "use a letter, then letters, digits, `_`, `.` and `-`, at most 64")
]


class FamiliesSection(Section):
    """`families:`."""

    product: bool = True
    ai: bool = True


class IdentitySection(Section):
    """`identity:`."""

    mode: Literal["as_given", "hash", "none"] = "as_given"
    salt_env: EnvName | None = None


class PropertiesSection(Section):
    """`properties:`."""

    allow: tuple[PropertyName, ...] = ()


class CaptureSection(Section):
    """`capture:`."""

    content: Literal["none", "tools", "full"] = "none"


class PosthogSection(Section):
    """`posthog:`."""

    capture: Literal["batch", "v1"] = "batch"
    gzip: bool = True


class EventsSection(Section):
    """`events:`."""

    started: bool = True
    attempt_failed: bool = True
    ai: bool = True
    sample: Annotated[Decimal, Field(ge=0, le=1)] = Decimal(1)


class OutboxSection(Section):
    """`outbox:`."""

    max_bytes: Bytes = OutboxBounds().max_bytes
    max_age_days: Annotated[Decimal, Field(gt=0, le=3650)] = Decimal(7)
    commit_ms: Annotated[int, Field(ge=1, le=50)] = OutboxBounds().commit_ms


class StoreSection(Section):
    """`store:`."""

    max_bytes: Bytes = StoreBounds().max_bytes
    max_age_days: Annotated[Decimal, Field(gt=0, le=3650)] = Decimal(90)


class AnalyticsFile(Section):
    """config/analytics.yaml."""

    version: Literal[1]
    environment: Name = "production"
    environment_header: bool = False
    families: FamiliesSection = FamiliesSection()
    identity: IdentitySection = IdentitySection()
    properties: PropertiesSection = PropertiesSection()
    prompt_hash: Literal["hmac-sha256", "sha256"] = "hmac-sha256"
    require_prompt_version: Literal["observe", "warn", "enforce"] = "observe"
    trace_url: Annotated[str, AfterValidator(_trace_url)] | None = None
    capture: CaptureSection = CaptureSection()
    posthog: PosthogSection = PosthogSection()
    events: EventsSection = EventsSection()
    outbox: OutboxSection = OutboxSection()
    store: StoreSection = StoreSection()


def compile_policy(document: Document, file: AnalyticsFile, env: Mapping[str, str]) -> AnalyticsPolicy:
    """The analytics policy; problems go to the document."""
    if file.require_prompt_version != "observe":
        document.report(("require_prompt_version",), "this version can only `observe`; warn and enforce come later")
    if file.capture.content != "none":
        document.report(("capture", "content"), "this version captures no content; `none` is the only value it takes")
    for index, name in enumerate(file.properties.allow):
        if name in RESERVED_NAMES:
            document.report(("properties", "allow", index), "this name is taken by a property of the proxy's own")
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
        allowed_properties=frozenset(file.properties.allow),
        trace_url=file.trace_url,
        outbox=OutboxBounds(
            max_bytes=file.outbox.max_bytes,
            max_age_s=float(file.outbox.max_age_days * _DAY_S),
            commit_ms=file.outbox.commit_ms,
        ),
        store=StoreBounds(max_bytes=file.store.max_bytes, max_age_s=float(file.store.max_age_days * _DAY_S)),
    )


def _salt(document: Document, section: IdentitySection, env: Mapping[str, str]) -> bytes | None:
    """The salt is needed by `hash` alone; elsewhere its variable may be unset."""
    if section.salt_env is None:
        return None
    salt = env.get(section.salt_env, "")
    if not salt and section.mode == "hash":
        document.report(("identity", "salt_env"), f"the environment variable {section.salt_env} is not set or empty")
    return salt.encode("utf-8", "surrogateescape") or None


def compile_destination(section: PosthogSection, environment: Document, env: Mapping[str, str]) -> Destination:
    """Where events go. Key and host come from the environment alone; their problems go to its document."""
    key = env.get("POSTHOG_API_KEY") or None
    if key is not None and key.startswith(("phx_", "phs_")):
        environment.report(("POSTHOG_API_KEY",), "this is not the project key; the project key starts with phc_")
    elif key is not None and (not key.isascii() or not key.isprintable() or " " in key):
        environment.report(("POSTHOG_API_KEY",), "it holds characters that no key has")
    host = Destination().host
    if env.get("POSTHOG_HOST"):
        try:
            host = posthog_address(env["POSTHOG_HOST"])
        except ValueError as error:
            environment.report(("POSTHOG_HOST",), str(error))
    return Destination(api_key=key, host=host, capture=section.capture, gzip=section.gzip)
