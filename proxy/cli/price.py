"""`promptlane price`: what a call costs and why, and what other collections of prices say."""

import argparse
import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

import orjson

from proxy.cli import price_check, price_sum
from proxy.cli.price_sources import INSTALLED, open_sources
from proxy.cli.price_sum import Caller
from proxy.config import ConfigError, Places, find_places
from proxy.config.load import load, load_prices
from proxy.config.presets import PRESETS
from proxy.config.wording import unknown
from proxy.domain.globs import is_glob
from proxy.domain.price_book import PriceBook
from proxy.domain.pricing import CostStatus
from proxy.domain.routing import RoutingTable
from proxy.domain.usage import Usage

_CHECK = "check"
_USAGE = """promptlane price MODEL [--provider NAME] [--on DATE] [counts and terms of the call] [--json]
       promptlane price check [--litellm [FILE]] [--genai] [--limit N] [--json]"""
_ROWS = 40
_MOST_DIGITS = 12
_MOST_SECONDS = 1_000_000
_EXAMPLE = Usage(input_tokens=1000, output_tokens=500)
_COUNTS = {
    "--input": ("input_tokens", "all input, cached and cache-written included"),
    "--output": ("output_tokens", "all output, reasoning included"),
    "--cached": ("cached_input_tokens", "of the input: read from a cache"),
    "--cache-write-5m": ("cache_creation_5m_tokens", "of the input: written for the default time to live"),
    "--cache-write-1h": ("cache_creation_1h_tokens", "of the input: written for an hour"),
    "--cache-write-12h": ("cache_creation_12h_tokens", "of the input: written for twelve hours"),
    "--reasoning": ("reasoning_tokens", "of the output"),
    "--audio-input": ("audio_input_tokens", "of the input"),
    "--audio-output": ("audio_output_tokens", "of the output"),
    "--image-input": ("image_input_tokens", "of the input"),
    "--image-output": ("image_output_tokens", "of the output"),
    "--images": ("output_images", "images made, where each has a price"),
    "--searches": ("web_search_calls", "web searches that the provider ran"),
}
_TERMS = {
    "--service-tier": ("service_tier", "the tier that was served: flex, priority, ON_DEMAND_FLEX, …"),
    "--speed": ("speed", "the speed that was served: fast"),
    "--region": ("inference_geo", "the region that was served: us"),
}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser(
        "price",
        usage=_USAGE,
        help="show what a call costs and why; hold the prices against other collections",
        description="Price one call, step by step, as the proxy would; or, with `check` in place of a model, say where "
        "the built-in table and pricing.yaml disagree with litellm's and genai-prices' data. Nothing is fetched.",
    )
    parser.add_argument("model", metavar="MODEL", help="the model that answers, or `check`")
    parser.add_argument(
        "--config", metavar="DIR", help="folder of routing.yaml, which names providers (default: config/)"
    )
    parser.add_argument("--pricing", metavar="FILE", help="your prices (default: pricing.yaml)")
    parser.add_argument(
        "--on", type=_day, metavar="DATE", help="the day of the call, such as 2026-11-20 (default: today, UTC)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object; money is text, exactly")
    call = parser.add_argument_group("the call (with none of these: 1,000 tokens in, 500 out)")
    call.add_argument(
        "--provider", metavar="NAME", help="as routing.yaml names it, or the vendor (default: the first with a price)"
    )
    for option, (_, meaning) in _COUNTS.items():
        call.add_argument(option, type=_count, metavar="N", help=meaning)
    call.add_argument(
        "--audio-seconds", type=_seconds, metavar="S", help="input audio, where the reply counts its seconds"
    )
    for option, (_, meaning) in _TERMS.items():
        call.add_argument(option, metavar="NAME", help=meaning)
    check = parser.add_argument_group("promptlane price check (with neither: all that are installed)")
    check.add_argument(
        "--litellm",
        nargs="?",
        const=INSTALLED,
        metavar="FILE",
        help="litellm's map: a JSON file, a wheel, or the installed package",
    )
    check.add_argument(
        "--genai", action="store_true", default=None, help="genai-prices, which the extra `prices` installs"
    )
    check.add_argument(
        "--limit", type=_count, metavar="N", help=f"lines of each; 0: all (default: {_ROWS}, in JSON all)"
    )
    parser.set_defaults(run=run)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("a date, year first, such as 2026-11-20") from None


def _count(text: str) -> int:
    """`1000`, `1_000` or `1,000`."""
    digits = text.replace("_", "").replace(",", "")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS):
        raise argparse.ArgumentTypeError("a whole number, 0 or more")
    return int(digits)


def _seconds(text: str) -> Decimal:
    try:
        seconds = Decimal(text)
    except InvalidOperation:
        seconds = Decimal(-1)
    if not seconds.is_finite() or not 0 <= seconds <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError("a number of seconds, 0 or more")
    return seconds


def run(args: argparse.Namespace) -> int:
    """0: said. 1: no price, or a collection cannot be read. 2: misused, or the configuration is not in order."""
    is_check = args.model == _CHECK
    foreign = [*_COUNTS, "--audio-seconds", *_TERMS, "--provider"] if is_check else ["--litellm", "--genai", "--limit"]
    if given := [option for option in foreign if getattr(args, option[2:].replace("-", "_")) is not None]:
        verb = "`promptlane price MODEL`" if is_check else "`promptlane price check`"
        return _misused(f"{', '.join(given)}: for {verb} alone")
    try:
        places = find_places(os.environ, config=args.config, pricing=args.pricing)
        book = load_prices(places.pricing_file, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 2
    routing = _routing(places)
    on = args.on or datetime.now(UTC).date()
    return _check(args, book, routing, on) if is_check else _sum(args, book, routing, on)


def _routing(places: Places) -> RoutingTable | None:
    """Where the configuration is in order as a whole: it may lack a variable here."""
    try:
        return load(places.config_dir, places.pricing_file, os.environ).routing
    except ConfigError:
        print(
            "the configuration has problems (see `promptlane check`): what routing.yaml names is not known",
            file=sys.stderr,
        )
        return None


def _sum(args: argparse.Namespace, book: PriceBook, routing: RoutingTable | None, on: date) -> int:
    all_callers = _callers(book, routing)
    callers = [caller for caller in all_callers if args.provider in (None, caller[1])]
    if not callers:
        return _misused(unknown("provider", args.provider, (name for _, name in all_callers)))
    usage = _usage(args)
    made = price_sum.price_call(book, callers, args.model, usage, on, is_named=args.provider is not None)
    if made is None:
        return _unknown(args, book, routing, on)
    if made.cost.status is CostStatus.UNKNOWN:
        return _misused(f"these counts contradict each other: {made.cost.reason}; --input and --output are the totals")
    if args.json:
        print(orjson.dumps(price_sum.as_json(made, book.version)).decode())
    else:
        _print(price_sum.as_text(made, book.version))
    return 0 if made.cost.total_usd is not None else 1


def _unknown(args: argparse.Namespace, book: PriceBook, routing: RoutingTable | None, on: date) -> int:
    provider = args.provider or "*"
    if args.json:
        print(orjson.dumps(price_sum.unknown_json(book, provider, args.model, on)).decode())
        return 1
    _print(price_sum.unknown_text(book, provider, args.model, on))
    route = next((route for route in (routing.routes if routing else ()) if route.pattern == args.model), None)
    if route is not None:
        targets = ", ".join(target.label for target in (*route.targets, *route.fallback))
        print(f"routing.yaml has the name for {targets}: what answers is what is priced")
    return 1


def _callers(book: PriceBook, routing: RoutingTable | None) -> list[Caller]:
    """Labels and names under which a price may stand: the operator's providers, those of pricing.yaml, all we know."""
    providers = routing.providers.values() if routing else ()
    named = [(provider.label, provider.name) for provider in providers]
    ruled = [(rule.provider, rule.provider) for rule in book.rules if not is_glob(rule.provider)]
    preset = [(preset.label, name) for name, preset in PRESETS.items()]
    labels = [(label, label) for label in (*(label for label, _ in named), *book.table)]
    found: dict[str, str] = {}
    for label, name in (*named, *ruled, *preset, *labels):
        found.setdefault(name, label)
    return [(label, name) for name, label in found.items()]


def _usage(args: argparse.Namespace) -> Usage:
    """The counts as given; tokens are 0 where none are given, and unknown where the call is counted otherwise."""
    fields = {name: getattr(args, option[2:].replace("-", "_")) for option, (name, _) in (_COUNTS | _TERMS).items()}
    fields["audio_seconds"] = args.audio_seconds
    counts = {name: value for name, value in fields.items() if name not in dict(_TERMS.values())}
    if all(value is None for value in counts.values()):
        return replace(_EXAMPLE, **{name: fields[name] for name in dict(_TERMS.values())})
    if args.audio_seconds is None and args.images is None:
        fields["input_tokens"], fields["output_tokens"] = fields["input_tokens"] or 0, fields["output_tokens"] or 0
    return Usage(**fields)


def _check(args: argparse.Namespace, book: PriceBook, routing: RoutingTable | None, on: date) -> int:
    sources, problems = open_sources(args.litellm, genai=bool(args.genai), on=on)
    limit = args.limit or None if args.limit is not None or args.json else _ROWS
    reports = [price_check.hold_against(source, book, _callers(book, routing), on) for source in sources]
    if args.json:
        said = [price_check.as_json(report, limit) for report in reports]
        print(orjson.dumps({"prices": book.version, "on": on.isoformat(), "sources": said}).decode())
    elif reports:
        print(f"prices {book.version}, {len(book.rules)} entries of your own, on {on}")
        for report in reports:
            print()
            _print(price_check.as_text(report, limit))
    for problem in problems:
        print(f"promptlane price check: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _misused(message: str) -> int:
    print(f"promptlane price: {message}", file=sys.stderr)
    return 2
