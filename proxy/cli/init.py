"""`promptlane init`: write the files to begin with, for the providers that the environment has keys for."""

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from proxy.cli.keys import fresh_key
from proxy.cli.new_files import may_write, write_all
from proxy.config.analytics import PosthogSection, compile_destination
from proxy.config.document import Document
from proxy.config.presets import ACCOUNTS
from proxy.config.starter import Found, find_accounts, starter_files

_REGIONS = {"https://us.i.posthog.com": "US", "https://eu.i.posthog.com": "EU"}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser(
        "init",
        help="write commented configuration files to begin with",
        description="Write config/routing.yaml, config/analytics.yaml, config/prompts.yaml, config/alerts.yaml, "
        "pricing.yaml and .env.example, with an entry for each provider that the environment has a key for. Each "
        "caller's own key goes through, unless --own-keys is given. No provider's key is printed or written.",
    )
    parser.add_argument("--dir", metavar="DIR", type=Path, default=Path(), help="where to write (default: this folder)")
    parser.add_argument(
        "--own-keys", action="store_true", help="spend the keys found here, and make a proxy key that callers show"
    )
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files and say how to go on."""
    found, remarks = find_accounts(os.environ)
    if args.own_keys and not found:
        names = ", ".join(account.key_variables[0] for account in ACCOUNTS)
        print(f"--own-keys needs a provider's key in one of these variables: {names}", file=sys.stderr)
        return 2
    if not may_write(args.dir, starter_files(found, key_hash=None), force=args.force):
        return 2
    made = fresh_key(os.environ.get("PROMPTLANE_DATA") or str(args.dir / "data")) if args.own_keys else (None, None)
    if made is None:
        return 2
    key, key_hash = made
    if not write_all(args.dir, starter_files(found, key_hash=key_hash)):
        return 1
    for line in (*_keys(found, remarks, key), *_posthog(os.environ), *_next(args.dir, key)):
        print(line)
    return 0


def _keys(found: Sequence[Found], remarks: Sequence[str], key: str | None) -> Iterator[str]:
    yield ""
    for each in found:
        yield f"found    {each.variable}, for provider {each.name}"
    for remark in remarks:
        yield f"missing  {remark}"
    if not found:
        yield "found    no provider's key: OpenAI, Anthropic and Gemini take each caller's own"
    elif key is None:
        yield "         none of them is spent: each caller's own key goes through (--own-keys changes that)"
    else:
        yield "         they are spent for callers that show the proxy key"


def _posthog(env: Mapping[str, str]) -> Iterator[str]:
    environment = Document(file="environment")
    destination = compile_destination(PosthogSection(), environment, env)
    region = _REGIONS.get(destination.host, "a host of your own")
    for problem in environment.problems:
        yield f"wrong    {problem.path}: {problem.message}"
    if destination.api_key is None:
        yield "missing  POSTHOG_API_KEY, the key of your PostHog project (phc_…): until it is set, events stay local"
    else:
        yield "found    POSTHOG_API_KEY"
    if env.get("POSTHOG_HOST"):
        yield f"found    POSTHOG_HOST: events go to {destination.host} ({region})"
    else:
        yield f"missing  POSTHOG_HOST: events go to {destination.host} ({region}); for the EU, https://eu.i.posthog.com"


def _next(folder: Path, key: str | None) -> Iterator[str]:
    yield ""
    if key is not None:
        yield "The proxy key, shown this once; apps send it in place of a provider's key:"
        yield f"  {key}"
        yield ""
    yield "Next:"
    if folder != Path():
        yield f"  cd {shlex.quote(str(folder))}"
    yield "  promptlane check    # what would run"
    yield "  promptlane serve    # then point an app at http://127.0.0.1:4000/v1"
