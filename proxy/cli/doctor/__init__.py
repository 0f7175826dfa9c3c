"""`promptlane doctor`: look at everything that serving needs, and say of each line what to do.

Facts are gathered by the `look` and `ask` of the parts; what they mean is decided by pure functions, which give
findings. Without --online nobody is asked but a proxy on this machine that --url names.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from proxy.adapters.probe import Prober
from proxy.cli.doctor import (
    configured,
    data_folder,
    machine,
    posthog,
    posthog_online,
    providers,
    running,
    sample_event,
    traffic,
)
from proxy.cli.doctor.finding import Finding, Groups, State, count, report
from proxy.cli.serve import show_problems
from proxy.config import ConfigError, Configuration, Places, find_places
from proxy.config.addresses import base_address
from proxy.config.load import load


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser(
        "doctor",
        help="say what is wrong with the set-up, and what to do",
        description="Looks at configuration, machine, data folder, providers, PostHog and traffic. "
        "Nothing leaves this machine without --online.",
        epilog="Exit code: 0 nothing failed, 1 something did, 2 misuse or a configuration that cannot be used.",
    )
    parser.add_argument("--config", metavar="DIR", help="folder of routing.yaml and analytics.yaml (default: config/)")
    parser.add_argument("--pricing", metavar="FILE", help="your prices (default: pricing.yaml)")
    parser.add_argument("--data", metavar="DIR", help="folder of the journal and the secret (default: data/)")
    parser.add_argument(
        "--online", action="store_true", help="also ask each provider and PostHog; stores nothing there"
    )
    parser.add_argument("--send-test-event", action="store_true", help="with --online: send PostHog one event")
    parser.add_argument("--url", type=_url, help="address of the running proxy, as apps call it")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(run=run)


def _url(text: str) -> str:
    try:
        return base_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(args: argparse.Namespace) -> int:
    """Print the findings. 1: something failed; 2: misuse, or a configuration that cannot be used."""
    if args.send_test_event and not args.online:
        print("--send-test-event sends an event to PostHog; say --online too", file=sys.stderr)
        return 2
    env = os.environ
    try:
        places = find_places(env, config=args.config, pricing=args.pricing, data=args.data)
        configuration = load(places.config_dir, places.pricing_file, env)
        setting = configured.look(places, configuration, env)
    except ConfigError as error:
        return show_problems(error)
    patient = Patient(
        places=places, configuration=configuration, setting=setting, project=_project(configuration, env), url=args.url
    )
    groups = asyncio.run(examine(patient, is_online=args.online, sends_event=args.send_test_event))
    if args.json:
        print(orjson.dumps(_document(groups), option=orjson.OPT_INDENT_2).decode())
    else:
        print("\n".join(report(groups)))
    return 1 if count(groups)[State.FAIL] else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is looked at."""

    places: Places
    configuration: Configuration
    setting: configured.Setting
    project: posthog.Project
    url: str | None = None
    """The running proxy's address."""


@dataclass(slots=True, kw_only=True)
class _Told:
    """What others said, or that they were not asked."""

    running: Finding
    providers: Sequence[Finding]
    posthog: Sequence[Finding]
    traffic: Finding
    clocks_ahead_s: Sequence[float] = field(default_factory=list)


async def examine(patient: Patient, *, is_online: bool, sends_event: bool = False) -> Groups:
    """Look at everything; ask what may be asked."""
    begin, policy = machine.now(), patient.configuration.analytics
    folder = data_folder.look(patient.places.data_dir)
    calls = traffic.look(patient.places.data_dir, begin.wall_unix_s)
    async with Prober(time.time) as prober:
        told = await _ask(prober, patient, sends_event=sends_event) if is_online else await _ask_here(prober, patient)
    end = machine.now()
    newest_s = max((j.newest_call_unix_us / 1e6 for j in folder.journals if j.newest_call_unix_us), default=None)
    is_shipped = patient.project.api_key is not None
    return {
        "Configuration": list(configured.findings(patient.setting)),
        "Machine": [*machine.findings(machine.look()), machine.clock(begin, end, newest_s, told.clocks_ahead_s)],
        "Data folder": list(data_folder.findings(folder, policy, is_shipped=is_shipped, now_s=end.wall_unix_s)),
        "Providers": told.providers,
        "PostHog": [*posthog.findings(patient.project), *told.posthog],
        "Traffic": [told.running, traffic.by_journal(calls), told.traffic],
    }


async def _ask_here(prober: Prober, patient: Patient) -> _Told:
    """Nobody but a proxy on this machine."""
    return _Told(
        running=await _running(prober, patient, is_online=False),
        providers=providers.unasked(patient.configuration.routing.providers.values()),
        posthog=posthog_online.unasked(),
        traffic=traffic.unasked(),
    )


async def _ask(prober: Prober, patient: Patient, *, sends_event: bool) -> _Told:
    """Everybody at the same time. It takes two rounds of the prober's patience, and an event its own."""
    table = patient.configuration.routing.providers.values()
    elsewhere = traffic.PROVIDERS | {traffic.place(provider.base_url) for provider in table}
    (of_providers, answers), (of_posthog, more), others, runs, sent = await asyncio.gather(
        providers.ask(prober, table),
        posthog_online.ask(prober, patient.project),
        traffic.ask(prober, patient.project, _our_places(patient), elsewhere),
        _running(prober, patient, is_online=True),
        _event(patient, sends_event=sends_event),
    )
    return _Told(
        running=runs,
        providers=of_providers,
        posthog=[*of_posthog, *sent],
        traffic=others,
        clocks_ahead_s=[a.clock_ahead_s for a in (*answers, *more) if a.clock_ahead_s is not None],
    )


async def _event(patient: Patient, *, sends_event: bool) -> list[Finding]:
    return [await sample_event.send(patient.configuration.destination, time.time)] if sends_event else []


async def _running(prober: Prober, patient: Patient, *, is_online: bool) -> Finding:
    if patient.url is None or not (is_online or running.is_here(patient.url)):
        return running.unasked(patient.url)
    return await running.ask(prober, patient.url, patient.configuration.digest)


def _our_places(patient: Patient) -> set[str]:
    """Where apps reach this proxy, as far as it can be known."""
    port = patient.setting.port
    names = {f"{host}:{port}" for host in (*configured.LOOPBACK, "[::1]", patient.setting.listens_on)}
    return names | {traffic.place(url) for url in (patient.url, patient.configuration.analytics.trace_url) if url} - {
        ""
    }


def _project(configuration: Configuration, env: Mapping[str, str]) -> posthog.Project:
    destination = configuration.destination
    return posthog.Project(
        host=destination.host,
        given_host=env.get("POSTHOG_HOST") or None,
        capture=destination.capture,
        api_key=destination.api_key,
        personal_key=env.get("POSTHOG_PERSONAL_API_KEY") or None,
        secret_key=env.get("POSTHOG_SECRET_KEY") or None,
        project_id=env.get("POSTHOG_PROJECT_ID") or None,
        other_host={posthog.US: posthog.EU, posthog.EU: posthog.US}.get(destination.host),
    )


def _document(groups: Groups) -> dict[str, object]:
    return {
        "findings": [
            {
                "group": heading,
                "state": finding.state,
                "title": finding.title,
                "found": finding.found,
                "advice": finding.advice or None,
            }
            for heading, findings in groups.items()
            for finding in findings
        ],
        "counts": {state.value: number for state, number in count(groups).items()},
    }
