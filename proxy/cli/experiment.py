"""`promptlane experiment`: what the versions of a prompt have shown, and whether the guardrails hold."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import time_ns

from proxy.adapters.experiments.ask import Asked, ask
from proxy.adapters.experiments.judge import judge
from proxy.adapters.rollout_state import RolloutState
from proxy.cli.configured_rollouts import add_places, configured, guarded, prompt_named
from proxy.cli.data_folder import age_in_s
from proxy.cli.experiment_guard import catch_up_in_posthog, guard_all
from proxy.cli.experiment_records import records_of
from proxy.cli.experiment_table import as_json, lines
from proxy.cli.posthog_project import Misused
from proxy.cli.terminal import in_colour
from proxy.config import Configuration
from proxy.domain.experiments import measured_by
from proxy.domain.flag_filters import shares_of
from proxy.domain.judgement import Judgement
from proxy.domain.prompts import ManagedPrompt, PromptBook
from proxy.domain.rollout_changes import RolloutChange

_PICTURES = (".svg", ".png")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser(
        "experiment",
        help="what the versions of a prompt have shown",
        description="Judge the experiments of config/prompts.yaml. Look as often as you like: the bounds allow for it.",
    )
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    listing = verbs.add_parser("ls", help="the experiments that are configured")
    listing.set_defaults(run=guarded(_ls))
    report = verbs.add_parser(
        "report",
        help="values, bounds, differences, guardrails and a verdict",
        description="Tell what an experiment has shown so far, from the calls and outcomes that are kept here, or "
        "from PostHog (which needs POSTHOG_PERSONAL_API_KEY with the scope query:read, and POSTHOG_PROJECT_ID).",
    )
    report.add_argument("name", metavar="NAME", help="the prompt, or its flag")
    report.add_argument(
        "--since",
        type=age_in_s,
        metavar="AGE",
        help="only people who came since, e.g. 7d (default: the last `rollout set`)",
    )
    report.add_argument("--json", action="store_true", help="everything, as one JSON object")
    report.add_argument("--picture", type=_picture, metavar="FILE", help="draw it too, as .svg or .png")
    report.add_argument(
        "--from", dest="source", choices=("journal", "posthog"), default="journal", help="(default: journal)"
    )
    report.set_defaults(run=guarded(_report))
    guard = verbs.add_parser(
        "guard",
        help="look at all guardrails, and stop what breaks one",
        description="Look at the guardrails of all experiments, as the proxy does by itself while it runs. One that is "
        "broken moves everybody to control where the experiment says `on_breach: stop`.",
    )
    guard.add_argument("--check", action="store_true", help="exit with 1 where a guardrail is broken")
    guard.set_defaults(run=guarded(_guard))
    for each in (listing, report, guard):
        add_places(each)


def _picture(text: str) -> Path:
    """For argparse."""
    if Path(text).suffix not in _PICTURES:
        raise argparse.ArgumentTypeError(f"{text!r} is no picture; its name ends in .svg or .png")
    return Path(text)


def _ls(args: argparse.Namespace) -> int:
    places, configuration = configured(args)
    changes = RolloutState(places.data_dir).changes()
    found = list(_asked(configuration.prompts, changes))
    for name, asked in found:
        experiment, (control, *others) = asked.experiment, asked.question.variants
        metric, rails = measured_by(experiment.primary).label, len(experiment.guardrails)
        print(f"{name}  {'stopped' if asked.stopped else 'running'}  {', '.join(others)} against {control}")
        print(f"  flag {asked.question.flag}; {metric} should {experiment.primary.goal.value}; ", end="")
        print(f"{rails} guardrail{'' if rails == 1 else 's'}, on breach {experiment.on_breach.value}")
    if not found:
        print(f"No prompt has an experiment: add `experiment:` to one in {places.config_dir / 'prompts.yaml'}.")
    return 0


def _asked(book: PromptBook, changes: Sequence[RolloutChange]) -> Iterator[tuple[str, Asked]]:
    for name, prompt in book.prompts.items():
        if (asked := ask(prompt, changes, until_unix_us=_now_us())) is not None:
            yield name, asked


def _guard(args: argparse.Namespace) -> int:
    places, configuration = configured(args)
    for line in catch_up_in_posthog(configuration, places.data_dir):
        print(line)
    is_kept = True
    for line in guard_all(configuration, places.data_dir, _now_us()):
        print(line)
        is_kept = False
    if is_kept:
        print("No guardrail is broken.")
    return 1 if args.check and not is_kept else 0


def _report(args: argparse.Namespace) -> int:
    places, configuration = configured(args)
    prompt = prompt_named(configuration.prompts, args.name)
    now_us = _now_us()
    since_us = None if args.since is None else now_us - int(args.since * 1_000_000)
    changes = RolloutState(places.data_dir).changes()
    asked = ask(
        prompt,
        changes,
        until_unix_us=now_us,
        since_unix_us=since_us,
        flag_shares=_flag_shares(configuration, prompt, places.data_dir),
    )
    if asked is None:
        missing = "`experiment:`" if prompt.experiment is None else "`flag:` or `split:`"
        raise Misused(f"The prompt {prompt.name} has no {missing} in {places.config_dir / 'prompts.yaml'}.")
    with records_of(args.source, asked.question, places.data_dir) as records:
        judgement = judge(asked.experiment, asked.question, asked.expected, records)
    stopped_because = asked.stopped.evidence or "by hand" if asked.stopped else None
    source = "PostHog" if args.source == "posthog" else f"the records in {places.data_dir}/"
    if args.json:
        print(json.dumps(as_json(judgement, source=args.source, stopped_because=stopped_because), indent=2))
    else:
        for line in lines(judgement, source=source, stopped_because=stopped_because, in_colour=in_colour(sys.stdout)):
            print(line)
    if args.picture is not None:
        _draw(judgement, args.picture)
    return 0


def _flag_shares(configuration: Configuration, prompt: ManagedPrompt, data_dir: Path) -> dict[str, float] | None:
    """Those of the definition that was fetched last."""
    if prompt.rollout is None or prompt.rollout.split is not None:
        return None
    from proxy.app.flags import kept_definitions

    definitions = kept_definitions(configuration, data_dir)
    flag = definitions.flags.get(prompt.rollout.flag) if definitions is not None else None
    return shares_of(flag.rules.get("filters", {})) if flag is not None else None


def _draw(judgement: Judgement, path: Path) -> None:
    """Raises OSError."""
    from proxy.cli.experiment_picture import spec
    from proxy.pages.chart_style import fixed
    from proxy.pages.charts import png, svg

    drawn = png(spec(judgement, fixed)) if path.suffix == ".png" else svg(spec(judgement, fixed)).encode()
    path.write_bytes(drawn)


def _now_us() -> int:
    return time_ns() // 1_000
