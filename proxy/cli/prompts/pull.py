"""`promptlane prompts pull`: write the texts that prompts.yaml takes from PostHog beside it.

A version of PostHog's prompt management never changes, so each is fetched once, by whoever adds it; the files are
committed with prompts.yaml, and no proxy needs PostHog to start or to serve.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from proxy.cli.posthog_project import Misused, find_host
from proxy.cli.prompts.configured import add_config
from proxy.config import ConfigError, find_places
from proxy.config.load import PROMPTS, read_prompts
from proxy.config.prompts import TextSection

_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


class CannotPull(Exception):
    """A text could not be had; what to do about it."""


def add_verb(verbs: _Verbs) -> None:
    """Add `pull`."""
    parser = verbs.add_parser(
        "pull",
        help="fetch the texts that prompts.yaml takes from PostHog's prompt management",
        description="Fetch each `{posthog: NAME, version: N}` of prompts.yaml that is not there yet, and write it to "
        "prompts/posthog/NAME.vN.md beside prompts.yaml; commit the files. Model and parameters that PostHog keeps "
        "with a prompt are not taken. Needs POSTHOG_PERSONAL_API_KEY (phx_…), POSTHOG_API_KEY of the project, and "
        "POSTHOG_HOST where that is not in the US.",
    )
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 where all texts are there; 1 where one could not be had; 2 where a key is missing, or the file not readable."""
    try:
        places = find_places(os.environ, config=args.config, pricing=args.pricing)
        wanted = _wanted(read_prompts(places.config_dir, os.environ), places.config_dir)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 2
    if not wanted:
        print(f"nothing to pull: every text that {places.config_dir / PROMPTS} takes from PostHog is there")
        return 0
    personal, project = os.environ.get("POSTHOG_PERSONAL_API_KEY"), os.environ.get("POSTHOG_API_KEY")
    if not personal or not project:
        missing = "POSTHOG_PERSONAL_API_KEY" if not personal else "POSTHOG_API_KEY"
        print(f"{missing} is not set; see `promptlane prompts pull --help`", file=sys.stderr)
        return 2
    try:
        asyncio.run(_pull(wanted, places.config_dir, find_host(os.environ), personal, project))
    except Misused as error:
        print(error, file=sys.stderr)
        return 2
    except CannotPull as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _wanted(texts: Sequence[TextSection], folder: Path) -> dict[Path, TextSection]:
    """The texts of PostHog's that are not there, by their files."""
    paths = {folder / text.place: text for text in texts if text.posthog is not None and text.place is not None}
    return {path: text for path, text in paths.items() if not path.exists() or path.stat().st_size == 0}


async def _pull(wanted: dict[Path, TextSection], folder: Path, host: str, personal: str, project: str) -> None:
    from proxy.adapters.posthog_api import PostHogApi, Refused, Unavailable

    async with PostHogApi(host, personal, "@current", scope="environments") as api:
        for path, text in wanted.items():
            name, version = str(text.posthog), text.version
            try:
                found = await api.get(f"llm_prompts/name/{quote(name, safe='')}/", token=project, version=str(version))
            except Refused as error:
                raise CannotPull(_refused(error.status, f"{name}, version {version}", host)) from None
            except Unavailable as error:
                raise CannotPull(f"PostHog at {host}: {error}. Try again later: what is there already stays.") from None
            if found.get("version") != version or not isinstance(found.get("prompt"), str):
                raise CannotPull(f"PostHog at {host} answered with something else than version {version} of {name}")
            _write(path, found["prompt"])
            print(f"wrote {path.relative_to(folder)}")


def _refused(status: int, what: str, host: str) -> str:
    advice = {
        401: f"{host} does not know the key. Is it a personal key (phx_…), and is the project in this region?",
        403: "the personal key may not read prompts, or prompt management is off in this project.",
        404: "there is no such prompt or version in the project of POSTHOG_API_KEY.",
    }.get(status, "PostHog does not give it now.")
    return f"{what}: refused ({status}): {advice}"


def _write(path: Path, text: str) -> None:
    """Raises CannotPull."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise CannotPull(f"cannot write {path}: {os.strerror(error.errno or 0)}") from None
