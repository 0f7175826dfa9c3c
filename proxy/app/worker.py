"""One worker, from its objects to its last event on disk.

Order of leaving: stop accepting → let running calls finish within the drain limit → cut the rest → finish estimates →
deliver what can be delivered → close the journal. What ended is on disk before PostHog is asked; what a disk does not
take in time is counted and told.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress

from aiohttp import web

from proxy import __version__
from proxy.adapters.call_finder import CallFinder
from proxy.adapters.checker import Checker
from proxy.adapters.clock import SystemClock
from proxy.adapters.content.files import content_files
from proxy.adapters.content.handover import ContentHandover
from proxy.adapters.decompress import StreamDecompressor, decode_copy
from proxy.adapters.estimator import AnswersOnLoop, CountingProcess, Estimator
from proxy.adapters.journal import JournalStats, SqliteJournal
from proxy.adapters.journal_metrics import JournalMetrics
from proxy.adapters.journal_stats import stats_by_file
from proxy.adapters.large_bodies import LargeBodies
from proxy.adapters.later import Later
from proxy.adapters.metrics import CallMetrics, Vitals
from proxy.adapters.notices import UnpricedModels, WrappedCalls
from proxy.adapters.posthog_sink import PostHogSink
from proxy.adapters.randomness import RandomBytes
from proxy.adapters.shared_memory import open_shared_memory
from proxy.adapters.telemetry import TelemetrySwitch
from proxy.adapters.upstream import AiohttpUpstream, NativeUpstream
from proxy.app.alerts import AlertWatch
from proxy.app.flags import FlagSwitch
from proxy.app.guardrails import GuardrailWatch
from proxy.app.pages import about, ui_of
from proxy.app.retention import expire_for_ever
from proxy.app.rollouts import Rollouts
from proxy.app.settings import Settings, journal_settings, keeping_settings, listen, posthog_settings, snapshot_of
from proxy.config import Changes, Configuration, Refused
from proxy.domain import events
from proxy.domain.checks import heavy_rules
from proxy.domain.exchange import Exchange
from proxy.pages.process import PageProcess
from proxy.pipeline.judging import Judging
from proxy.pipeline.outcome import OutcomeServices
from proxy.pipeline.services import Services
from proxy.web.acceptor import Acceptor
from proxy.web.edge import Edge
from proxy.web.front import Front
from proxy.web.ops import Operations
from proxy.web.ui import Ui

log = logging.getLogger(__name__)

SIDE_COPY_LIMIT_BYTES = 32 * 1024 * 1024
"""How much of a compressed reply is decoded for the meter."""
DELIVERY_S = 5.0
"""How long, after the last call, events are still delivered before the process ends."""
LOOK_S = 0.25
"""Between two looks at the configuration's files; a change is taken up after two or three."""
TOLD_PROBLEMS = 20
"""Of a refused configuration, in the log; `promptlane check` lists all."""


class App:
    """One worker: `await start()`, then `await stop()`. `address` is known once it has started."""

    def __init__(self, configuration: Configuration, settings: Settings, changes: Changes | None = None) -> None:
        """With `changes`, the configuration is reloaded while the worker runs."""
        self._configuration = configuration
        self._settings = settings
        self._changes = changes
        self._is_reload_asked = asyncio.Event()
        self._socket = listen(settings)
        port = self._socket.getsockname()[1]
        shown_host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.address = f"http://{shown_host}:{port}"
        self._snapshot = snapshot_of(configuration, settings.secret, self.address)
        self._is_draining = False
        self._alerts: AlertWatch | None = None

    async def start(self) -> None:
        """Recover what an earlier process left, then accept connections. What fails half-way is undone.

        Raises OSError where somebody else listens by now.
        """
        async with AsyncExitStack() as leaving:
            leaving.callback(self._socket.close)
            self._upstreams: dict[str, NativeUpstream | AiohttpUpstream] = {}
            leaving.push_async_callback(self._close_upstreams)
            self._later = Later(asyncio.get_running_loop())
            self._metrics = CallMetrics(
                JournalMetrics(self._stats, lambda: self._configuration.analytics.outbox.max_bytes),
                self._settings.metrics_dir,
                self._settings.worker,
                self._later,
            )
            self._metrics.configuration.runs(self._snapshot.digest, is_reload=False)
            await self._open_journal()
            leaving.push_async_callback(asyncio.to_thread, self._journal.close_journal, DELIVERY_S)
            self._shared = open_shared_memory(self._settings.data_dir)
            leaving.callback(self._shared.close)
            self._start_shipping()
            leaving.push_async_callback(self._end_shipping)
            self._telemetry = TelemetrySwitch(
                self._settings.data_dir, self._settings.worker, self._settings.worker_count
            )
            await self._take_up_telemetry(self._configuration)
            leaving.push_async_callback(self._end_telemetry)
            self._flags = FlagSwitch(self._settings.data_dir, self._settings.worker)
            leaving.push_async_callback(self._flags.stop)
            await self._flags.take_up(self._configuration)
            self._pages = PageProcess(self._settings.data_dir)
            leaving.push_async_callback(self._pages.close)
            self._large_bodies = LargeBodies()
            leaving.push_async_callback(self._large_bodies.close)
            self._content = ContentHandover(keeping_settings(self._configuration, self._settings))
            if self._settings.worker == 0 and content_files(self._settings.data_dir):
                self._content.begin()
            leaving.push_async_callback(asyncio.to_thread, self._content.close, DELIVERY_S)
            leaving.callback(self._later.finish)
            self._checker = Checker()
            self._warm_checks()
            leaving.push_async_callback(self._checker.close)
            self._counting = CountingProcess()
            self._estimator = Estimator(self._counting.count)
            leaving.push_async_callback(self._end_estimates)
            self._finder = CallFinder(self._settings.data_dir)
            leaving.callback(self._finder.close)
            self._rollouts = self._watched_rollouts()
            await self._rollouts.look()
            await self._accept()
            leaving.push_async_callback(self._judging.stop)
            leaving.push_async_callback(self._end_calls)
            self._house = asyncio.ensure_future(self._keep_house())
            leaving.push_async_callback(self._end_house)
            self._start_chores(leaving)
            self._leaving = leaving.pop_all()

    def _start_chores(self, leaving: AsyncExitStack) -> None:
        """What one worker of a data folder does for all of them, until it leaves."""
        if self._settings.worker != 0:
            return
        chores = [expire_for_ever(self._settings.data_dir, self._store_max_age_s)]
        if self._changes is not None:
            places = self._changes.places
            chores.append(GuardrailWatch(places, lambda: self._configuration.prompts).run())
            self._alerts = AlertWatch(
                places, self.address, lambda: self._configuration.alerts, self._journal.note, SystemClock().unix_us
            )
            chores.append(self._alerts.run())
        for chore in map(asyncio.ensure_future, chores):
            leaving.push_async_callback(asyncio.wait, [chore])
            leaving.callback(chore.cancel)

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
        self._later.finish()
        await asyncio.to_thread(self._journal.flush, DELIVERY_S)

    async def _open_journal(self) -> None:
        settings = journal_settings(self._configuration, self._settings)
        self._journal = SqliteJournal(
            settings, on_events=self._settings.on_events, on_commit=self._metrics.observe_commit
        )
        recovered = await asyncio.to_thread(self._journal.recover, events.interrupted)
        if recovered:
            log.warning("calls that an earlier process left open were closed", extra={"calls": recovered})
        self._journal.start()

    def _start_shipping(self) -> None:
        self._sink: PostHogSink | None = None
        if (settings := posthog_settings(self._configuration)) is not None:
            self._sink = PostHogSink(self._journal, settings)
            self._shipping = asyncio.ensure_future(self._sink.run())

    async def _end_shipping(self) -> None:
        """Deliver what can be delivered now: some disks do not survive the process."""
        if self._sink is None:
            return
        await asyncio.to_thread(self._journal.flush, DELIVERY_S)
        self._shipping.cancel()
        await asyncio.wait([self._shipping])
        await self._sink.drain(DELIVERY_S)
        await self._sink.close()

    async def _take_up_telemetry(self, configuration: Configuration) -> None:
        providers = configuration.routing.providers
        await asyncio.to_thread(self._telemetry.take_up, configuration.analytics, providers)

    async def _end_telemetry(self) -> None:
        """Tell the collector what it can be told now, as PostHog is."""
        await asyncio.to_thread(self._journal.flush, DELIVERY_S)
        await asyncio.to_thread(self._telemetry.stop)

    async def _end_estimates(self) -> None:
        await asyncio.to_thread(self._estimator.close, DELIVERY_S)
        await asyncio.to_thread(self._counting.close)
        await asyncio.sleep(0)  # the last estimates arrive on this loop

    def _upstream(self) -> NativeUpstream | AiohttpUpstream:
        """The HTTP client that the configuration names, made when it is first named."""
        name = self._configuration.upstream_client
        if name not in self._upstreams:
            self._upstreams[name] = NativeUpstream() if name == "native" else AiohttpUpstream()
        return self._upstreams[name]

    async def _close_upstreams(self) -> None:
        for upstream in self._upstreams.values():
            await upstream.close()

    async def _accept(self) -> None:
        self._services = Services(
            snapshot=lambda: self._snapshot,
            upstream=self._upstream(),
            journal=self._journal,
            shared=self._shared,
            estimator=AnswersOnLoop(self._estimator, asyncio.get_running_loop()),
            checker=self._checker,
            clock=SystemClock(),
            later=self._later,
            random_bytes=RandomBytes(),
            decode_copy=decode_copy,
            read_elsewhere=self._large_bodies.read,
            edit_elsewhere=self._large_bodies.edit,
            side_decompressor=lambda encoding: StreamDecompressor(encoding, SIDE_COPY_LIMIT_BYTES),
            observe=self._observer(),
            flags=self._flags.service,
            content=self._content,
            overrides=self._rollouts.overrides,
        )
        share = 1 / self._settings.worker_count
        self._judging = Judging(self._services, self._metrics.observe_check, share=share)
        self._services.judge = self._judging.consider
        self._edge = Edge(self._services, self._outcome_services(), self._operations(), self._ui())
        self._server = Front(self._edge)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=1.0)
        await self._runner.setup()
        self._acceptor = Acceptor(self._socket, self._server)
        self._acceptor.start()

    def _watched_rollouts(self) -> Rollouts:
        note = self._journal.note if self._settings.worker == 0 else None
        return Rollouts(self._settings.data_dir, note, SystemClock().unix_us)

    async def _end_calls(self) -> None:
        """Let running calls finish within the limit, and cut the rest."""
        self._is_draining = True
        self._acceptor.stop()
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

    def _outcome_services(self) -> OutcomeServices:
        return OutcomeServices(
            services=self._services,
            finder=self._finder,
            count=self._metrics.count_outcome,
            admin_token=self._settings.admin_token,
            is_loopback=self._settings.is_loopback,
        )

    def _operations(self) -> Operations:
        return Operations(
            version=__version__,
            config_digest=lambda: self._snapshot.digest,
            problems=self._problems,
            render_metrics=self._metrics.render,
            keyring=lambda: self._snapshot.keyring,
            admin_token=self._settings.admin_token,
            is_loopback=self._settings.is_loopback,
        )

    def _ui(self) -> Ui:
        return ui_of(
            self._settings,
            self._pages,
            self._shared,
            lambda: self._snapshot.keyring,
            lambda: about(self._configuration, self._problems(), self._flags),
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
                await self._rollouts.look()
                self._metrics.publish(self._vitals())
            except Exception:
                log.exception("housekeeping stumbled; it goes on")

    async def _end_house(self) -> None:
        self._house.cancel()
        await asyncio.wait([self._house])

    def _store_max_age_s(self) -> float:
        return self._configuration.analytics.store.max_age_s

    async def _look(self, *, is_asked: bool) -> None:
        """Take up a changed configuration whole, or keep the one that runs and say why, once."""
        if self._changes is None:
            return
        news = await asyncio.to_thread(self._changes.look, is_asked=is_asked)
        if isinstance(news, Configuration):
            await self._flags.take_up(news)
            self._take_up(news)
            await self._take_up_telemetry(news)
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
        self._snapshot = snapshot_of(configuration, self._settings.secret, self.address)
        self._services.upstream = self._upstream()
        self._services.flags = self._flags.service
        self._warm_checks()
        self._journal.keep_within(journal_settings(configuration, self._settings))
        self._content.take_up(keeping_settings(configuration, self._settings))
        if self._sink is not None and (settings := posthog_settings(configuration)) is not None:
            self._sink.take_up(settings)
        self._metrics.configuration.runs(configuration.digest, is_reload=True)
        if self._settings.on_configuration is not None:
            self._settings.on_configuration(configuration)
        log.info("a changed configuration was taken up", extra={"digest": configuration.digest, "before": before})

    def _warm_checks(self) -> None:
        """Of any route, those that ask another process."""
        self._checker.warm(heavy_rules(check for route in self._snapshot.routing.routes for check in route.checks))

    def _problems(self) -> Sequence[str]:
        draining = ("draining",) if self._is_draining else ()
        return (*draining, *self._vitals().degraded)

    def _vitals(self) -> Vitals:
        stats = self._journal.stats()
        delivery = self._sink.stats() if self._sink is not None else None
        alarms = {
            "delivery": delivery is not None and delivery.is_alarming,
            "flags": self._flags.is_alarming,
            "telemetry": self._telemetry.is_alarming,
        }
        return Vitals(
            calls_running=self._edge.running,
            queued_rows=stats.queued_rows,
            queued_bytes=stats.queued_bytes,
            retried_events=delivery.retried_events if delivery is not None else 0,
            lost_spans=self._telemetry.lost_spans,
            telemetry_lag_s=self._telemetry.lag_s,
            lost_content=self._content.lost,
            alerts_firing=self._alerts.firing if self._alerts is not None else 0,
            degraded=(*(part for part, is_alarming in alarms.items() if is_alarming), *stats.degraded),
        )

    def _stats(self) -> list[JournalStats]:
        return [self._journal.stats(), *stats_by_file(self._settings.data_dir, but=self._journal.path).values()]
