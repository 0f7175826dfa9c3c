"""docs/cli.md: every verb of the command and its options, as their `--help` has them."""

import argparse
from collections.abc import Iterator

from proxy.cli import VERBS, command_parser

PLACES = {
    "init": "[quick start](quickstart.md#4-with-your-key)",
    "import": "[from LiteLLM's proxy](migrating-from-litellm.md)",
    "serve": "[deploy](deploy.md), [configuration](configuration.md)",
    "demo": "[README](../README.md)",
    "check": "[configuration](configuration.md#checking)",
    "schema": "[configuration](configuration.md#checking)",
    "price": "[what a call costs, and why](configuration.md#what-a-call-costs-and-why)",
    "doctor": "[the doctor](operations.md#the-doctor)",
    "keys": "[quick start](quickstart.md#4-with-your-key)",
    "meter": "[recorded replies](#promptlane-meter)",
    "outbox": "[journal and outbox](operations.md#journal-and-outbox)",
    "calls": "[watching it](operations.md#watching-it)",
    "store": "[forgetting a user](operations.md#what-is-kept-and-forgetting-a-user)",
    "prompts": "[rollouts](rollouts.md), [prompt versions](prompt-versions.md)",
    "traces": "[watching it](operations.md#watching-it)",
    "top": "[watching it](operations.md#watching-it)",
    "login": "[dashboards](operations.md#dashboards)",
    "report": "[what changed](operations.md#what-changed)",
    "reconcile": "[what changed](operations.md#what-changed)",
    "dashboards": "[dashboards in PostHog](dashboards.md)",
    "experiment": "[experiments](experiments.md)",
    "rollout": "[experiments](experiments.md#guardrails-that-act)",
    "alerts": "[alerts](alerts.md)",
}
"""Where each verb is told of in its context."""

_HEAD = """<!-- Made by `make docs` from proxy/cli; edit that. -->
# The command

`promptlane VERB --help` shows the same at the terminal. Every verb ends with 0 when all is well, 1 when something
failed, and 2 when it was misused or the configuration cannot be used; `--json`, where there is one, is for scripts.
The variables that stand in for options: see the [configuration reference](configuration-reference.md#environment).

| verb | does | more |
|---|---|---|
"""


def cli_page() -> str:
    """The page as the parsers have it."""
    verbs = dict(_verbs(command_parser()))
    rows = [f"| [`{name}`](#promptlane-{name}) | {text} | {PLACES[name]} |" for name, (_, text) in verbs.items()]
    assert list(verbs) == list(VERBS)
    sections = [line for name, (parser, text) in verbs.items() for line in _section(f"promptlane {name}", parser, text)]
    return _HEAD + "\n".join([*rows, *sections]) + "\n"


def _verbs(parser: argparse.ArgumentParser) -> Iterator[tuple[str, tuple[argparse.ArgumentParser, str]]]:
    """Name → parser and one line, of the verbs below a parser."""
    for action in parser._actions:  # noqa: SLF001 - argparse tells its contents in no other way than as text
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            lines = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            yield from ((name, (inner, lines[name])) for name, inner in action.choices.items())


def _section(name: str, parser: argparse.ArgumentParser, line: str, level: int = 2) -> Iterator[str]:
    """One verb, and below it those that it has."""
    yield from ("", f"{'#' * level} {name}", "", _sentence(parser.description or line))
    if rows := list(_rows(parser)):
        yield from ("", "| option | |", "|---|---|", *rows)
    if parser.epilog:
        yield from ("", parser.epilog)
    for verb, (inner, text) in _verbs(parser):
        yield from _section(f"{name} {verb}", inner, text, level + 1)


def _rows(parser: argparse.ArgumentParser) -> Iterator[str]:
    formatter = parser._get_formatter()  # noqa: SLF001
    for action in parser._actions:  # noqa: SLF001
        is_told = action.help != argparse.SUPPRESS and not isinstance(
            action,
            argparse._HelpAction | argparse._SubParsersAction,  # noqa: SLF001
        )
        if is_told:
            text = formatter._expand_help(action) if action.help else ""  # noqa: SLF001
            yield f"| `{_signature(action)}` | {text} |"


def _signature(action: argparse.Action) -> str:
    name = action.option_strings[0] if action.option_strings else ""
    if action.nargs == 0:
        return name
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    value = "\\|".join(map(str, action.choices)) if action.choices and not action.metavar else metavar
    return f"{name} {f'[{value}]' if action.nargs == '?' else value}".strip()


def _sentence(text: str) -> str:
    joined = " ".join(text.split())
    return joined[:1].upper() + joined[1:] + ("" if joined.endswith((".", ":")) else ".")
