"""Composition root: configuration → objects → a running server. The only place that wires.

Order of leaving: stop accepting → let running calls finish within the drain limit → cut the rest → finish estimates →
deliver what can be delivered → close the journal. Nothing that ended is lost: it is on disk before PostHog is asked.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import apsw
from aiohttp import web

from proxy import __version__
from proxy.adapters.clock import SystemClock
from proxy.adapters.decompress import StreamDecompressor, decode_copy
from proxy.adapters.estimator import CountingProcess, Estimator
from proxy.adapters.journal import JournalReader, JournalSettings, JournalStats, SqliteJournal, journal_files
from proxy.adapters.journal.schema import Unusable
from proxy.adapters.journal_metrics import JournalMetrics
from proxy.adapters.metrics import CallMetrics, Vitals
from proxy.adapters.notices import UnpricedModels, WrappedCalls
from proxy.adapters.posthog_sink import PostHogSettings, PostHogSink
from proxy.adapters.telemetry import TelemetrySwitch
from proxy.adapters.upstream import AiohttpUpstream
from proxy.config import Changes, Configuration, Refused
from proxy.domain import events
from proxy.domain.estimate import Estimate, TextToCount
from proxy.domain.exchange import Exchange
from proxy.domain.journal_rows import JournalEvent
from proxy.domain.keys import HashedKeys
from proxy.pipeline.services import Services, Snapshot
from proxy.web.edge import Edge
from proxy.web.ops import Operations
from proxy.web.server import HardenedServer

log = logging.getLogger(__name__)

SIDE_COPY_LIMIT_BYTES = 32 * 1024 * 1024
"""How much of a compressed reply is decoded for the meter."""
BACKLOG = 1024
"""Connections that may wait to be accepted; aiohttp's 128 is small for a burst."""
DELIVERY_S = 5.0
"""How long, after the last call, events are still delivered before the process ends."""

DELIVERY_PAUSE_S = 5.0
"""After a bug in delivery, so that it does not spin."""

LOOK_S = 0.25
"""Between two looks at the configuration's files; a change is taken up after two or three."""
TOLD_PROBLEMS = 20
"""Of a refused configuration, in the log; `promptlane check` lists all."""


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
    on_exchange: Callable[[Exchange], None] | None = None
    on_events: Callable[[Sequence[JournalEvent]], None] | None = None
    """Called in the journal's thread with events that became durable."""
    on_configuration: Callable[[Configuration], None] | None = None
    """Called with each configuration that is taken up while running."""
    metrics_dir: Path | None = None
    """Where the workers count together; None with one alone."""


class App:
    """One worker: `await start()`, then `await stop()`. `address` is known once it has started."""

    def __init__(self, configuration: Configuration, settings: Settings, changes: Changes | None = None) -> None:
        """With `changes`, the configuration is reloaded while the worker runs."""
        self._configuration = configuration
        self._settings = settings
        self._changes = changes
        self._is_reload_asked = asyncio.Event()
        self._socket = _listen(settings)
        port = self._socket.getsockname()[1]
        shown_host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.address = f"http://{shown_host}:{port}"
        self._snapshot = _snapshot(configuration, settings.secret, self.address)
        self._is_draining = False

    async def start(self) -> None:
        """Recover what an earlier process left, then accept connections. What fails half-way is undone."""
        async with AsyncExitStack() as leaving:
            leaving.callback(self._socket.close)
            self._upstream = AiohttpUpstream()
            leaving.push_async_callback(self._upstream.close)
            self._metrics = CallMetrics(
                JournalMetrics(self._all_stats, lambda: self._configuration.analytics.outbox.max_bytes),
                self._settings.metrics_dir,
            )
            self._metrics.configuration.runs(self._snapshot.digest, is_reload=False)
            await self._open_journal()
            leaving.push_async_callback(asyncio.to_thread, self._journal.close_journal, DELIVERY_S)
            self._start_shipping()
            leaving.push_async_callback(self._end_shipping)
            self._telemetry = TelemetrySwitch(self._settings.worker, self._settings.worker_count)
            await asyncio.to_thread(self._telemetry.take_up, self._configuration.analytics)
            leaving.push_async_callback(asyncio.to_thread, self._telemetry.stop)
            self._counting = CountingProcess()
            self._estimator = Estimator(self._counting.count)
            leaving.push_async_callback(self._end_estimates)
            await self._accept()
            leaving.push_async_callback(self._end_calls)
            self._house = asyncio.ensure_future(self._keep_house())
            leaving.push_async_callback(self._end_house)
            self._leaving = leaving.pop_all()

    async def stop(self) -> None:
        """Leave in the opposite order; see the module's text. Each step is taken even when one before it failed."""
        await self._leaving.aclose()
        log.info("stopped", extra={"pending_events": self._journal.stats().pending})

    def ask_reload(self) -> None:
        """Read the configuration's files now, without waiting for a change to show."""
        self._is_reload_asked.set()

    async def settled(self) -> None:
        """Wait until every call that has ended is on disk."""
        await self._edge.wait_idle(self._configuration.drain_s)
        await asyncio.to_thread(self._journal.flush, DELIVERY_S)

    async def _open_journal(self) -> None:
        settings = _journal_settings(self._configuration, self._settings)
        self._journal = SqliteJournal(
            settings, on_events=self._settings.on_events, on_commit=self._metrics.observe_commit
        )
        recovered = await asyncio.to_thread(self._journal.recover, events.interrupted)
        if recovered:
            log.warning("calls that an earlier process left open were closed", extra={"calls": recovered})
        self._journal.start()

    def _start_shipping(self) -> None:
        self._sink: PostHogSink | None = None
        if (settings := _posthog_settings(self._configuration)) is not None:
            self._sink = PostHogSink(self._journal, settings)
            self._shipping = asyncio.ensure_future(_ship(self._sink))

    async def _end_shipping(self) -> None:
        """Deliver what can be delivered now: some disks do not survive the process."""
        if self._sink is None:
            return
        await asyncio.to_thread(self._journal.flush, DELIVERY_S)
        self._shipping.cancel()
        await asyncio.wait([self._shipping])
        await self._sink.drain(DELIVERY_S)
        await self._sink.close()

    async def _end_estimates(self) -> None:
        await asyncio.to_thread(self._estimator.close, DELIVERY_S)
        await asyncio.to_thread(self._counting.close)
        await asyncio.sleep(0)  # the last estimates arrive on this loop

    async def _accept(self) -> None:
        self._services = Services(
            snapshot=lambda: self._snapshot,
            upstream=self._upstream,
            journal=self._journal,
            estimator=_OnLoop(self._estimator, asyncio.get_running_loop()),
            clock=SystemClock(),
            random_bytes=os.urandom,
            decode_copy=decode_copy,
            side_decompressor=lambda encoding: StreamDecompressor(encoding, SIDE_COPY_LIMIT_BYTES),
            observe=self._observer(),
        )
        self._edge = Edge(self._services, self._operations())
        self._server = HardenedServer(self._edge)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=1.0)
        await self._runner.setup()
        self._site = web.SockSite(self._runner, self._socket, backlog=BACKLOG)
        await self._site.start()

    async def _end_calls(self) -> None:
        """Let running calls finish within the limit, and cut the rest."""
        self._is_draining = True
        await self._site.stop()
        self._server.pre_shutdown()
        if not await self._edge.wait_idle(self._configuration.drain_s):
            self._services.is_cutting = True
            await self._edge.cut()
        await self._runner.cleanup()

    def _observer(self) -> Callable[[Exchange], None]:
        unpriced, wrapped, extra = UnpricedModels(), WrappedCalls(), self._settings.on_exchange

        def observe(exchange: Exchange) -> None:
            self._metrics.observe(exchange)
            unpriced.observe(exchange)
            wrapped.observe(exchange)
            self._telemetry.observe(exchange)
            if extra is not None:
                extra(exchange)

        return observe

    def _operations(self) -> Operations:
        return Operations(
            version=__version__,
            config_digest=lambda: self._snapshot.digest,
            problems=self._problems,
            render_metrics=self._metrics.render,
            records_of_trace=lambda trace_id: _records(self._settings.data_dir, trace_id),
            keyring=lambda: self._snapshot.keyring,
            admin_token=self._settings.admin_token,
            is_loopback=self._settings.host in ("127.0.0.1", "::1", "localhost"),
        )

    async def _keep_house(self) -> None:
        """Look at the configuration's files, and publish the worker's vital signs, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._is_reload_asked.wait()
            is_asked = self._is_reload_asked.is_set()
            self._is_reload_asked.clear()
            try:
                await self._look(is_asked=is_asked)
                self._metrics.publish(self._vitals())
            except Exception:
                log.exception("housekeeping stumbled; it goes on")

    async def _end_house(self) -> None:
        self._house.cancel()
        await asyncio.wait([self._house])

    async def _look(self, *, is_asked: bool) -> None:
        """Take up a changed configuration whole, or keep the one that runs and say why, once."""
        if self._changes is None:
            return
        news = await asyncio.to_thread(self._changes.look, is_asked=is_asked)
        if isinstance(news, Configuration):
            self._take_up(news)
            await asyncio.to_thread(self._telemetry.take_up, news.analytics)
        elif isinstance(news, Refused):
            self._metrics.configuration.refused()
            if self._settings.worker == 0:
                problems = [str(problem) for problem in news.problems]
                log.error(
                    "the configuration on disk cannot be used: the one that runs is kept; run `promptlane check`",
                    extra={"problems": problems[:TOLD_PROBLEMS], "problem_count": len(problems)},
                )
        elif is_asked:
            log.info("asked to reload: the configuration has not changed")

    def _take_up(self, configuration: Configuration) -> None:
        """From here on new calls find this configuration; running ones keep theirs."""
        before, self._configuration = self._snapshot.digest, configuration
        self._snapshot = _snapshot(configuration, self._settings.secret, self.address)
        self._journal.keep_within(_journal_settings(configuration, self._settings))
        if self._sink is not None and (settings := _posthog_settings(configuration)) is not None:
            self._sink.take_up(settings)
        self._metrics.configuration.runs(configuration.digest, is_reload=True)
        if self._settings.on_configuration is not None:
            self._settings.on_configuration(configuration)
        log.info("a changed configuration was taken up", extra={"digest": configuration.digest, "before": before})

    def _problems(self) -> Sequence[str]:
        draining = ("draining",) if self._is_draining else ()
        return (*draining, *self._vitals().degraded)

    def _vitals(self) -> Vitals:
        stats = self._journal.stats()
        delivery = self._sink.stats() if self._sink is not None else None
        alarming = ("delivery",) if delivery is not None and delivery.is_alarming else ()
        return Vitals(
            calls_running=self._edge.running,
            queued_rows=stats.queued_rows,
            queued_bytes=stats.queued_bytes,
            retried_events=delivery.retried_events if delivery is not None else 0,
            lost_spans=self._telemetry.lost_spans,
            degraded=(*alarming, *stats.degraded),
        )

    def _all_stats(self) -> list[JournalStats]:
        """Of our own journal as we know it, of all other files in the folder as they say."""
        own = self._journal.path
        found = [self._journal.stats()]
        for path in journal_files(self._settings.data_dir):
            if path != own:
                with suppress(Unusable, apsw.Error), JournalReader(path) as reader:
                    found.append(reader.stats())
        return found


async def _ship(sink: PostHogSink) -> None:
    """Deliver until cancelled. A bug in it must not be the end of all delivery: it begins afresh."""
    while True:
        try:
            await sink.run()
        except Exception:
            log.exception("delivery stumbled; it begins again")
        await asyncio.sleep(DELIVERY_PAUSE_S)


class _OnLoop:
    """An estimator whose answers arrive on the event loop, where the journal takes rows."""

    def __init__(self, estimator: Estimator, loop: asyncio.AbstractEventLoop) -> None:
        self._estimator = estimator
        self._loop = loop

    def submit(self, job: TextToCount, done: Callable[[Estimate], None]) -> bool:
        """See the port."""

        def answer(found: Estimate) -> None:
            self._loop.call_soon_threadsafe(done, found)

        return self._estimator.submit(job, answer)


def _snapshot(configuration: Configuration, secret: bytes, address: str) -> Snapshot:
    analytics = configuration.analytics
    return Snapshot(
        routing=configuration.routing,
        keyring=HashedKeys(configuration.keys, secret),
        identity=analytics.identity(secret),
        events=events.EventPolicy(
            product=analytics.families.product,
            ai=analytics.families.ai,
            started=analytics.volume.started,
            attempt_failed=analytics.volume.attempt_failed,
            sample=analytics.volume.sample,
            trace_url=analytics.trace_url or f"{address}/ui/traces/{{trace_id}}",
        ),
        prices=configuration.prices,
        limits=configuration.limits,
        secret=secret,
        digest=configuration.digest,
    )


def _posthog_settings(configuration: Configuration) -> PostHogSettings | None:
    destination = configuration.destination
    if destination.api_key is None:
        return None
    return PostHogSettings(
        host=destination.host, api_key=destination.api_key, capture=destination.capture, gzip=destination.gzip
    )


def _journal_settings(configuration: Configuration, settings: Settings) -> JournalSettings:
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


def _records(data_dir: Path, trace_id: str) -> list[bytes]:
    """From the files of all workers; a file that cannot be read now has nothing to say."""
    found: list[bytes] = []
    for path in journal_files(data_dir):
        with suppress(Unusable, apsw.Error), JournalReader(path) as reader:
            found += [stored.record for stored in reader.by_trace(trace_id)]
    return found


def _listen(settings: Settings) -> socket.socket:
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
