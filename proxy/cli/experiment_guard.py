"""Guardrails that act: every experiment is judged, and a broken guardrail moves everybody to control.

The change counts here before PostHog is asked for anything. A rollout that somebody has changed meanwhile is left
alone, and one that was stopped stays so until an operator sets it: nothing resumes by itself.
"""

from collections.abc import Iterator
from pathlib import Path

from proxy.adapters.experiments.ask import Asked, ask
from proxy.adapters.experiments.journal import JournalRecords
from proxy.adapters.experiments.judge import judge
from proxy.adapters.journal import journal_files
from proxy.adapters.rollout_state import RolloutState
from proxy.cli.configured_rollouts import NamedRollout, rollouts_of
from proxy.cli.experiment_records import kept_tables
from proxy.cli.rollout_steps import change_of, follow_in_posthog, stop_shares
from proxy.config import Configuration
from proxy.domain.experiments import OnBreach
from proxy.domain.judgement import breach_text, broken
from proxy.domain.overrides import ChangedBy, Override
from proxy.domain.rollout_changes import AtPostHog, overrides_of


def guard_all(configuration: Configuration, data_dir: Path, now_us: int) -> Iterator[str]:
    """What is broken and what was done, a line for each. Raises OSError, Damaged, Failed."""
    state = RolloutState(data_dir)
    changes = state.changes()
    named = {each.rollout.flag: each for each in rollouts_of(configuration)}
    watched = [
        asked
        for prompt in configuration.prompts.prompts.values()
        if (asked := ask(prompt, changes, until_unix_us=now_us)) is not None and asked.stopped is None
    ]
    if not watched or not journal_files(data_dir):
        return
    with kept_tables(data_dir) as tables:
        for asked in watched:
            records = JournalRecords(tables, asked.question)
            found = broken(judge(asked.experiment, asked.question, None, records))
            if found:
                evidence = breach_text(*found[0])
                before = overrides_of(changes).of(asked.question.flag)
                yield from _act(state, asked, evidence, before, named[asked.question.flag])


def _act(
    state: RolloutState, asked: Asked, evidence: str, before: Override | None, named: NamedRollout
) -> Iterator[str]:
    if asked.experiment.on_breach is not OnBreach.STOP:
        yield f"{named.name}: {evidence} It goes on: `on_breach` says report."
        return
    change = change_of(named, stop_shares(named), ChangedBy.GUARDRAIL, evidence)
    if not state.add(change, only_if=lambda overrides: overrides.of(change.flag) == before):
        yield f"{named.name}: {evidence} Somebody has changed the rollout meanwhile; it is left as it is."
        return
    yield f"{named.name}: {evidence} Stopped: everybody gets {named.rollout.default}."
    if (told := follow_in_posthog(state, change, named.rollout.default)) is not None:
        yield told


def catch_up_in_posthog(configuration: Configuration, data_dir: Path) -> Iterator[str]:
    """Changes that PostHog could not be told of when they were made. Raises OSError, Damaged."""
    state = RolloutState(data_dir)
    last = {change.flag: change for change in state.changes()}
    for named in rollouts_of(configuration):
        change = last.get(named.rollout.flag)
        if change is not None and change.at_posthog is AtPostHog.PENDING:
            told = follow_in_posthog(state, change, named.rollout.default)
            yield f"{named.name}: {told or 'PostHog is not told: there is no key for it any more.'}"
