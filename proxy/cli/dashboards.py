"""`promptlane dashboards`: our dashboards in a PostHog project, made and kept as they are defined."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from proxy.adapters.posthog_api import PostHogApi, Refused, Unavailable
from proxy.adapters.posthog_dashboards import Carrier, read_ours
from proxy.cli.dashboards_render import add_options, render
from proxy.cli.data_folder import add_data
from proxy.cli.posthog_project import Misused, explained, find_project
from proxy.config import ConfigError, find_places
from proxy.config.load import load
from proxy.domain.dashboards import DASHBOARDS, Dashboard, experiment_dashboard
from proxy.domain.dashboards.plan import Change, changes, dashboard_fields, deletions, insight_fields

_DESCRIPTION = """\
Five dashboards for PostHog, and one for each experiment of prompts.yaml: what they hold is defined here
and made there. What carries the marker [promptlane:…] at the end of its description is ours; nothing else
in the project is ever touched. Tiles may be moved: where they stand is set only once.

Needs POSTHOG_PERSONAL_API_KEY with the scopes dashboard:write and insight:write, POSTHOG_PROJECT_ID,
and POSTHOG_HOST where the project is not in the US.
"""
_SCOPES = "the scopes dashboard:write and insight:write"
_ROUNDS = 3
"""After an answer that did not come, what there is is read again and the rest of the plan is made anew."""
Run = Callable[[PostHogApi, argparse.Namespace, Sequence[Dashboard]], Awaitable[int]]
_SIGNS = {"create": "+", "update": "~", "delete": "-"}
_DONE = {"create": "made", "update": "changed", "delete": "deleted"}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser(
        "dashboards",
        help="make and keep our dashboards in PostHog",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    plan = verbs.add_parser("plan", help="show what apply would do")
    plan.add_argument("--check", action="store_true", help="exit with 1 where there is something to do")
    apply_ = verbs.add_parser("apply", help="make the project hold the dashboards as they are defined")
    delete = verbs.add_parser("delete", help="remove what is ours; shows what, until --yes is given")
    delete.add_argument("--yes", action="store_true", help="do it")
    export = verbs.add_parser("export", help="print the dashboards as JSON; asks nobody")
    export.add_argument("--out", metavar="DIR", type=Path, help="write one file for each dashboard instead")
    rendering = verbs.add_parser("render", help="draw them from the records in the data folder; asks nobody")
    add_data(rendering)
    add_options(rendering)
    for each in (plan, apply_, export, rendering):
        each.add_argument("--only", metavar="NAME", action="append", default=[], help="this dashboard; may be repeated")
        each.add_argument("--config", metavar="DIR", help="folder of prompts.yaml, whose experiments get one each")
    for each, run in ((plan, _plan), (apply_, _apply), (delete, _delete)):
        each.set_defaults(run=_asking(run))
    export.set_defaults(run=_locally(_export))
    rendering.set_defaults(run=_locally(render))


def _asking(run: Run) -> Callable[[argparse.Namespace], int]:
    """Find key and project, open the API, and tell in an operator's words what goes wrong."""

    def start(args: argparse.Namespace) -> int:
        try:
            project = find_project(os.environ, _SCOPES)
            dashboards = _wanted(args) if "only" in args else ()
        except (Misused, ConfigError) as error:
            print(error, file=sys.stderr)
            return 2

        async def talk() -> int:
            async with PostHogApi(project.host, project.key, project.project_id) as api:
                return await run(api, args, dashboards)

        try:
            return asyncio.run(talk())
        except Refused as error:
            print(explained(error, project), file=sys.stderr)
        except Unavailable as error:
            print(f"PostHog at {project.host}: {error}. Try again later: what is done already stays.", file=sys.stderr)
        return 1

    return start


async def _plan(api: PostHogApi, args: argparse.Namespace, dashboards: Sequence[Dashboard]) -> int:
    planned = list(changes(dashboards, *await read_ours(api), partial=bool(args.only)))
    for change in planned:
        print(_line(change))
    print(_summary(planned) if planned else "Nothing to do: the project holds the dashboards as they are defined.")
    return 1 if planned and args.check else 0


async def _apply(api: PostHogApi, args: argparse.Namespace, dashboards: Sequence[Dashboard]) -> int:
    done = 0
    for is_last in (False,) * (_ROUNDS - 1) + (True,):
        boards, insights = await read_ours(api)
        carrier = Carrier(api, boards)
        try:
            for change in changes(dashboards, boards, insights, partial=bool(args.only)):
                await carrier.carry_out(change)
                print(f"{_DONE[change.action]:8} {change.kind} {change.key}")
                done += 1
        except Unavailable:
            if is_last:
                raise
            continue
        break
    print(f"{done} changes made." if done else "Nothing to do: the project holds the dashboards as they are defined.")
    return 0


async def _delete(api: PostHogApi, args: argparse.Namespace, _: Sequence[Dashboard]) -> int:
    boards, insights = await read_ours(api)
    planned = list(deletions(boards, insights))
    for change in planned:
        if args.yes:
            await Carrier(api, boards).carry_out(change)
        print(f"{_DONE[change.action]:8} {change.kind} {change.key}" if args.yes else _line(change))
    if not planned:
        print("Nothing of ours is in the project.")
    elif not args.yes:
        print(f"{_summary(planned)} Nothing was done: add --yes.")
    return 0


def _locally(run: Callable[[argparse.Namespace, tuple[Dashboard, ...]], int]) -> Callable[[argparse.Namespace], int]:
    """For verbs that ask nobody."""

    def start(args: argparse.Namespace) -> int:
        try:
            return run(args, _wanted(args))
        except (Misused, ConfigError) as error:
            print(error, file=sys.stderr)
            return 2

    return start


def _export(args: argparse.Namespace, dashboards: tuple[Dashboard, ...]) -> int:
    documents = {dashboard.slug: _exported(dashboard) for dashboard in dashboards}
    if args.out is None:
        print(json.dumps(list(documents.values()), indent=2))
        return 0
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        for slug, document in documents.items():
            path = args.out / f"{slug}.json"
            path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
            print(path)
    except OSError as error:
        print(f"cannot write to {args.out}: {os.strerror(error.errno or 0)}", file=sys.stderr)
        return 1
    return 0


def _wanted(args: argparse.Namespace) -> tuple[Dashboard, ...]:
    """Those that every project gets and one for each experiment, or of them those that are named. Raises Misused,
    ConfigError.
    """
    dashboards = {dashboard.slug: dashboard for dashboard in (*DASHBOARDS, *_of_experiments(args.config))}
    only: Sequence[str] = args.only
    if unknown := [name for name in only if name not in dashboards]:
        raise Misused(f"there is no dashboard {unknown[0]!r}; there are {', '.join(dashboards)}")
    return tuple(dashboard for slug, dashboard in dashboards.items() if not only or slug in only)


def _of_experiments(config_dir: str | None) -> Iterator[Dashboard]:
    places = find_places(os.environ, config=config_dir)
    for prompt in load(places.config_dir, places.pricing_file, os.environ).prompts.prompts.values():
        if prompt.experiment is None or prompt.rollout is None:
            continue
        primary = prompt.experiment.primary
        try:
            yield experiment_dashboard(prompt.name, prompt.rollout.flag, primary.event, primary.property)
        except ValueError:
            raise Misused(
                f"the experiment of {prompt.name} has no dashboard: its flag, event and property may have letters,"
                " digits, blanks and ._-$ alone"
            ) from None


def _exported(dashboard: Dashboard) -> dict[str, Any]:
    insights = [insight_fields(tile, f"{dashboard.slug}/{tile.slug}") for tile in dashboard.tiles]
    return {**dashboard_fields(dashboard), "insights": insights}


def _line(change: Change) -> str:
    why = f" ({', '.join(change.differs)})" if change.differs else ""
    return f"  {_SIGNS[change.action]} {change.kind:9} {change.key}{why}: {change.name}"


def _summary(planned: Sequence[Change]) -> str:
    counts = {action: sum(change.action == action for change in planned) for action in _SIGNS}
    return f"To make {counts['create']}, to change {counts['update']}, to delete {counts['delete']}."
