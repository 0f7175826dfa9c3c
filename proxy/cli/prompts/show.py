"""`promptlane prompts show`: a version, whole, as calls get it."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from proxy.cli.prompts.configured import add_config, loaded
from proxy.config.wording import unknown
from proxy.domain.prompts import ManagedPrompt, PromptVersion, variables_in

_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


def add_verb(verbs: _Verbs) -> None:
    """Add `show`."""
    parser = verbs.add_parser(
        "show",
        help="a version, whole: settings, variables and text",
        description="Print what a version sets, and its text. Without VERSION, the default.",
    )
    parser.add_argument("name", metavar="NAME", help="the prompt's, as `ls` lists it")
    parser.add_argument("version", metavar="VERSION", nargs="?", help="its id (default: the prompt's default)")
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0, or 2 where there is no such prompt or version, or the configuration is not valid."""
    if (found := loaded(args)) is None:
        return 2
    prompts = found[1].prompts.prompts
    if (prompt := prompts.get(args.name)) is None:
        print(unknown("prompt", args.name, prompts), file=sys.stderr)
        return 2
    if (version := prompt.versions.get(args.version or prompt.default)) is None:
        print(unknown("version", args.version, prompt.versions), file=sys.stderr)
        return 2
    for line in _lines(prompt, version):
        print(line)
    return 0


def _lines(prompt: ManagedPrompt, version: PromptVersion) -> Iterator[str]:
    yield f"{prompt.name}/{version.id}{' (default)' if version.id == prompt.default else ''}"
    yield f"  content     {version.content_hash}"
    yield f"  mode        {prompt.mode}"
    yield f"  model       {version.model or 'as the call says'}"
    for name, value in version.parameters.items():
        yield f"  {name:11} {value}"
    for name in variables_in(version.text or ""):
        yield f"  {{{{{name}}}}}  {_standing_in(prompt.variables, name)}"
    if version.text is not None:
        yield f"  {version.role}:"
        yield ""
        yield version.text


def _standing_in(variables: Mapping[str, str | None], name: str) -> str:
    default = variables.get(name)
    return "each call brings it" if default is None else f"without a value: {default}"
