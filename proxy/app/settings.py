"""Where and how a worker serves, and what a configuration means to each of its parts."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from proxy.adapters.content.handover import KeepingSettings
from proxy.adapters.journal import JournalSettings
from proxy.adapters.posthog_sink import PostHogSettings
from proxy.config import Configuration
from proxy.domain.events import EventPolicy
from proxy.domain.exchange import Exchange
from proxy.domain.journal_rows import JournalEvent
from proxy.domain.keys import HashedKeys
from proxy.domain.sessions import Seal
from proxy.pipeline.services import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where and how one worker serves. `port` 0 takes a free one."""

    host: str
    port: int
    data_dir: Path
    secret: bytes = field(repr=False)
    worker: int = 0
    worker_count: int = 1
    admin_token: str | None = field(default=None, repr=False)
    viewer_token: str | None = field(default=None, repr=False)
    on_exchange: Callable[[Exchange], None] | None = None
    on_events: Callable[[Sequence[JournalEvent]], None] | None = None
    """Called in the journal's thread with events that became durable."""
    on_configuration: Callable[[Configuration], None] | None = None
    """Called with each configuration that is taken up while running."""
    metrics_dir: Path | None = None
    """Where the workers count together; None with one alone."""

    @property
    def seal(self) -> Seal:
        """What signs sessions of the pages, and links to them."""
        return Seal(self.secret, self.admin_token, self.viewer_token)

    @property
    def is_loopback(self) -> bool:
        """Nobody on another machine can connect."""
        return self.host in ("127.0.0.1", "::1", "localhost")


def listen(settings: Settings) -> socket.socket:
    """Bind before anything else is made, so that the address is known and a taken port is told at once."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.worker_count > 1:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError:
        listening.close()
        raise
    return listening


def snapshot_of(configuration: Configuration, secret: bytes, address: str) -> Snapshot:
    """What a call keeps from its first byte to its end; `address` is where our own pages are."""
    analytics = configuration.analytics
    return Snapshot(
        routing=configuration.routing,
        keyring=HashedKeys(configuration.keys, secret),
        identity=replace(
            analytics.identity(secret), infers_version=analytics.versions.infers and not configuration.prompts
        ),
        events=EventPolicy(
            product=analytics.families.product,
            ai=analytics.families.ai,
            started=analytics.volume.started,
            attempt_failed=analytics.volume.attempt_failed,
            sample=analytics.volume.sample,
            trace_url=analytics.trace_url or f"{address}/ui/traces/{{trace_id}}",
        ),
        prices=configuration.prices,
        limits=configuration.limits,
        versions=analytics.versions,
        prompts=configuration.prompts,
        secret=secret,
        digest=configuration.digest,
        has_keys=bool(configuration.keys),
        outcomes=analytics.outcomes,
        capture=configuration.capture if configuration.capture.is_wanted else None,
    )


def posthog_settings(configuration: Configuration) -> PostHogSettings | None:
    """None where no key says whose project it is."""
    destination = configuration.destination
    if destination.api_key is None:
        return None
    return PostHogSettings(
        host=destination.host, api_key=destination.api_key, capture=destination.capture, gzip=destination.gzip
    )


def keeping_settings(configuration: Configuration, settings: Settings) -> KeepingSettings:
    """Each worker has its share of the store of content."""
    policy = configuration.capture
    return KeepingSettings(
        directory=settings.data_dir,
        worker=settings.worker,
        policy=policy,
        max_bytes=policy.store_max_bytes // settings.worker_count,
    )


def journal_settings(configuration: Configuration, settings: Settings) -> JournalSettings:
    """The operator's bounds are for the machine; each worker has its share."""
    analytics = configuration.analytics
    return JournalSettings(
        directory=settings.data_dir,
        worker=settings.worker,
        has_destination=configuration.destination.api_key is not None,
        commit_ms=analytics.outbox.commit_ms,
        outbox_max_bytes=analytics.outbox.max_bytes // settings.worker_count,
        outbox_max_age_s=analytics.outbox.max_age_s,
        store_max_bytes=analytics.store.max_bytes // settings.worker_count,
        store_max_age_s=analytics.store.max_age_s,
    )
