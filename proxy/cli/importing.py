"""`promptlane import litellm`: translate another gateway's configuration, and list what could not be translated."""

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from proxy.cli.new_files import may_write, write_all
from proxy.config.litellm import NotLitellm, Translation, Verdict, listing, read, translate


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser("import", help="translate the configuration of another gateway")
    verbs = parser.add_subparsers(required=True, metavar="GATEWAY")
    litellm = verbs.add_parser(
        "litellm",
        help="translate LiteLLM's config.yaml",
        description="Translate a configuration of LiteLLM's proxy into config/routing.yaml and, where it has prices, "
        "pricing.yaml. What could not be translated is listed with what to do instead, on the terminal and at the top "
        "of routing.yaml. No key is printed or written.",
    )
    litellm.add_argument("file", metavar="FILE", type=Path, help="its config.yaml; files that it includes are read too")
    litellm.add_argument(
        "--dir", metavar="DIR", type=Path, default=Path(), help="where to write (default: this folder)"
    )
    litellm.add_argument("--force", action="store_true", help="replace files that exist")
    litellm.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Translate, write, and say what is left to do."""
    try:
        translation = translate(read(args.file))
    except NotLitellm as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 2
    texts = {"config/routing.yaml": translation.routing, "pricing.yaml": translation.pricing}
    written = {name: text for name, text in texts.items() if text is not None}
    if not may_write(args.dir, written, force=args.force):
        return 2
    if translation.routing is not None and not write_all(args.dir, written):
        return 1
    for line in report(translation):
        print(line)
    if translation.routing is None:
        print("\nnothing was written: no model of the file could be translated", file=sys.stderr)
        return 1
    for line in _next(translation, os.environ, args.dir):
        print(line)
    return 0


def report(translation: Translation) -> Iterator[str]:
    """What was not translated, what is left to do, and what needs nothing, one fact to a line."""
    for verdict in Verdict:
        lines = listing(translation.remarks, verdict)
        if lines:
            yield ""
            yield f"{verdict.value} ({len(lines)}):"
        yield from (f"  {line}" for line in lines)


def _next(translation: Translation, env: Mapping[str, str], folder: Path) -> Iterator[str]:
    yield ""
    yield "Variables that the files name:"
    names = (*translation.key_variables, *translation.address_variables)
    for name in names:
        yield f"  {name:{max(map(len, names))}}  {'set' if env.get(name) else 'not set'}"
    yield ""
    yield "Next:"
    if folder != Path():
        yield f"  cd {shlex.quote(str(folder))}"
    yield "  promptlane keys new web-app    # a proxy key for each app, and its line for `keys:`"
    yield "  promptlane check               # what would run"
    yield "  promptlane serve"
