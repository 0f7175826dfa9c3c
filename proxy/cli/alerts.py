"""`promptlane alerts`: the rules of config/alerts.yaml, what fires by them, and who is told."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from proxy.adapters.alert_state import AlertState, Damaged
from proxy.adapters.journal import journal_files
from proxy.adapters.webhook import send
from proxy.cli.alert_look import drops_of, is_taken, look, readings
from proxy.cli.terminal import GREEN, PLAIN, RED, YELLOW, in_colour
from proxy.config import ConfigError, Configuration, Places, find_places
from proxy.config.load import load
from proxy.domain.alert_words import calls_text, duration_text, number_text, sentence, subject, trial
from proxy.domain.alerts import AlertBook, Delivery, Firing, Reading, Rule

_DESCRIPTION = """\
Rules in config/alerts.yaml say which numbers are watched. While the proxy runs it looks by itself, and tells a webhook
and PostHog when an alert fires and when it is over.
"""
_TOO_FEW = "too few calls"
Run = Callable[[argparse.Namespace], int]


class _NoJournal(Exception):
    """The text says what to do."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser(
        "alerts", help="what is watched, what fires, and who is told", description=_DESCRIPTION
    )
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    listing = verbs.add_parser(
        "ls",
        help="the rules, each with its number now and what fires",
        description="List the rules, each with its number now, its limit and whether it fires. Changes nothing.",
    )
    listing.add_argument("--json", action="store_true", help="one JSON object, for scripts")
    listing.set_defaults(run=_guarded(_ls))
    check = verbs.add_parser(
        "check",
        help="look now: fire, resolve, tell",
        description="Look at all rules now, as the proxy does by itself while it runs: what fires or resolves is noted"
        " in the data folder and sent to the webhook. PostHog is told by the proxy.",
    )
    check.add_argument(
        "--exit-code", action="store_true", help="exit with 1 where an alert fires, or could not be sent"
    )
    check.add_argument("--pages", metavar="URL", help=argparse.SUPPRESS)
    check.set_defaults(run=_guarded(_check))
    test = verbs.add_parser(
        "test",
        help="send a test message to the webhook",
        description="Send a test message to the webhook and say what it answered.",
    )
    test.set_defaults(run=_guarded(_test))
    for each in (listing, check, test):
        each.add_argument("--config", metavar="DIR", help="folder of alerts.yaml (default: config/)")
        each.add_argument("--pricing", metavar="FILE", help=argparse.SUPPRESS)
        each.add_argument("--data", metavar="DIR", help="folder of the journal (default: data/)")


def _guarded(run: Run) -> Run:
    """The verb, which tells in a line what is wrong: 2 for the configuration, 1 for the data folder."""

    def run_guarded(args: argparse.Namespace) -> int:
        try:
            return run(args)
        except ConfigError as error:
            said, code = "\n".join(map(str, error.problems)), 2
        except _NoJournal as error:
            said, code = str(error), 1
        except Damaged as error:
            said, code = f"{error}: move it away, and every alert begins anew.", 1
        except BrokenPipeError:
            raise  # that is standard output: `main` knows what it means
        except OSError as error:
            said, code = f"{error.filename or args.data or 'the data folder'}: {os.strerror(error.errno or 0)}", 1
        print(said, file=sys.stderr)
        return code

    return run_guarded


def _configured(args: argparse.Namespace) -> tuple[Places, Configuration]:
    places = find_places(os.environ, config=args.config, pricing=args.pricing, data=args.data)
    return places, load(places.config_dir, places.pricing_file, os.environ)


def _ls(args: argparse.Namespace) -> int:
    places, configuration = _configured(args)
    policy, now = configuration.alerts, datetime.now(UTC)
    if policy.rules:
        _need_journal(places)
    book = AlertState(places.data_dir).read()
    numbers = readings(policy, places.data_dir, drops_of(book.drops, places.data_dir, now), now)
    if args.json:
        rules = [_as_json(rule, numbers[rule.name], book.firing.get(rule.name)) for rule in policy.rules]
        print(json.dumps({"looked_at": _moment(book.looked_at_unix_us), "rules": rules}, indent=2))
        return 0
    for rule in policy.rules:
        for line in _lines(rule, numbers[rule.name], book.firing.get(rule.name), now):
            print(line)
    if not policy.rules:
        print(_nothing(places))
    for line in _about_telling(book, configuration):
        print(line)
    return 0


def _lines(rule: Rule, reading: Reading, firing: Firing | None, now: datetime) -> Iterator[str]:
    state, colour = "ok", GREEN
    if firing is not None:
        lasts_s = now.timestamp() - firing.fired.at_unix_us / 1e6
        state, colour = f"fires since {duration_text(max(0.0, lasts_s))}", RED
    elif reading.value is None:
        state, colour = _TOO_FEW, YELLOW
    painted = f"{colour}{state}{PLAIN}" if in_colour(sys.stdout) else state
    yield f"{rule.name}  {painted}"
    value = "unknown" if reading.value is None else number_text(rule.metric, reading.value)
    limit = number_text(rule.metric, reading.limit(rule))
    usual = "" if reading.usual is None else f", usually {number_text(rule.metric, reading.usual)}"
    calls = f", {calls_text(reading.calls)}" if reading.calls else ""
    yield f"  {subject(rule)}: {value}, may be {limit}{usual}{calls}"


def _about_telling(book: AlertBook, configuration: Configuration) -> Iterator[str]:
    if configuration.alerts.rules and configuration.alerts.webhook_url is None:
        listener = "PostHog alone is told" if configuration.destination.api_key else "Nobody is told"
        yield f"{listener}: there is no webhook; see docs/alerts.md."
    if book.unsent:
        count = f"{len(book.unsent)} message{'' if len(book.unsent) == 1 else 's'}"
        yield f"{count} could not be sent to the webhook yet; see `promptlane alerts test`."
    if any(each.delivery is Delivery.GIVEN_UP for each in book.changes):
        yield "Some older messages were given up: the webhook took none for a day."


def _as_json(rule: Rule, reading: Reading, firing: Firing | None) -> dict[str, Any]:
    return {
        "rule": rule.name,
        "metric": rule.metric.value,
        "window_s": rule.window_s,
        "where": dict(rule.where),
        "value": reading.value,
        "limit": reading.limit(rule),
        "usual": reading.usual,
        "calls": reading.calls,
        "fires_since": None if firing is None else _moment(firing.fired.at_unix_us),
    }


def _check(args: argparse.Namespace) -> int:
    places, configuration = _configured(args)
    policy, now = configuration.alerts, datetime.now(UTC)
    if not policy.rules and not AlertState(places.data_dir).read().firing:
        print(_nothing(places))
        return 0
    _need_journal(places)
    book = look(policy, places.data_dir, now, policy.pages_url or args.pages)
    for change in book.changes:
        if change.at_unix_us == book.looked_at_unix_us:
            print(sentence(change))
    still = [name for name, firing in book.firing.items() if firing.fired.at_unix_us != book.looked_at_unix_us]
    for name in still:
        print(f"Still fires: {name}.")
    if not book.firing:
        print("No alert fires.")
    if book.unsent:
        print("The webhook did not take a message; the next look tries again. See `promptlane alerts test`.")
    return 1 if args.exit_code and (book.firing or book.unsent) else 0


def _test(args: argparse.Namespace) -> int:
    places, configuration = _configured(args)
    policy = configuration.alerts
    if policy.webhook_url is None:
        wanted = "`webhook: {url_env: PROMPTLANE_ALERT_WEBHOOK}`"
        print(f"There is no webhook: write {wanted} into {places.config_dir / 'alerts.yaml'}.", file=sys.stderr)
        return 2
    status = asyncio.run(send(policy.webhook_url, trial(policy.pages_url)))
    if status is None:
        print("The webhook gave no answer within 5 s: is the address right, and may this machine reach it?")
    elif is_taken(status):
        print(f"The webhook took the message: it answered {status}.")
    elif 300 <= status < 400:
        print(f"The webhook answered {status}, which leads elsewhere, and is not followed: write the final address.")
    else:
        print(f"The webhook did not take the message: it answered {status}.")
    return 0 if is_taken(status) else 1


def _nothing(places: Places) -> str:
    return f"Nothing is watched: write rules into {places.config_dir / 'alerts.yaml'}; see docs/alerts.md."


def _need_journal(places: Places) -> None:
    """Raises _NoJournal: an empty folder is one that was not meant."""
    if not journal_files(places.data_dir):
        raise _NoJournal(f"There is no journal in {places.data_dir}/: name the proxy's own folder with --data.")


def _moment(unix_us: int | None) -> str | None:
    return None if unix_us is None else datetime.fromtimestamp(unix_us / 1e6, UTC).isoformat(timespec="seconds")
