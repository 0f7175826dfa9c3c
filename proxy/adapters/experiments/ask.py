"""From a prompt's configuration and the changes of its rollout to the question that its experiment asks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proxy.adapters.experiments.source import Question
from proxy.domain.experiments import Experiment
from proxy.domain.prompts import ManagedPrompt
from proxy.domain.rollout import Rollout
from proxy.domain.rollout_changes import RolloutChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`expected` are the shares as fractions of 1, where they are known; `stopped` is the change that ended it."""

    experiment: Experiment
    question: Question
    expected: Mapping[str, float] | None
    stopped: RolloutChange | None


def ask(
    prompt: ManagedPrompt,
    changes: Iterable[RolloutChange],
    *,
    until_unix_us: int,
    since_unix_us: int | None = None,
    flag_shares: Mapping[str, float] | None = None,
) -> Asked | None:
    """None where the prompt has no experiment, or nothing decides who gets which version.

    `flag_shares` are percent by variant, where a flag of PostHog's decides and they are known.

    Without `since_unix_us` the time begins when the shares were last set by hand: people who were dealt out by other
    shares before would be compared with those who came after. A rollout that was stopped is judged by the time before.
    """
    if prompt.experiment is None or prompt.rollout is None:
        return None
    made = [change for change in changes if change.flag == prompt.rollout.flag]
    stopped = made.pop() if made and _is_stop(made[-1]) else None
    last = made[-1] if made else None
    if since_unix_us is None:
        since_unix_us = last.changed_at_unix_us if last is not None else 0
    if stopped is not None:
        until_unix_us = min(until_unix_us, stopped.changed_at_unix_us)
    return Asked(
        experiment=prompt.experiment,
        question=Question(
            prompt=prompt.name,
            flag=prompt.rollout.flag,
            variants=variants_of(prompt.rollout, prompt.variants),
            since_unix_us=since_unix_us,
            until_unix_us=until_unix_us,
        ),
        expected=_expected(prompt.rollout, last, flag_shares),
        stopped=stopped,
    )


def variants_of(rollout: Rollout, known: Iterable[str]) -> tuple[str, ...]:
    """Control first, then the others as they are written; `known` are those of a flag."""
    written = rollout.split.variants if rollout.split is not None else known
    return tuple(dict.fromkeys((rollout.default, *written)))


def _is_stop(change: RolloutChange) -> bool:
    return change.shares is not None and max(change.shares.values()) >= 100


def _expected(
    rollout: Rollout, last: RolloutChange | None, flag_shares: Mapping[str, float] | None
) -> dict[str, float] | None:
    shares: Mapping[str, float] | None = flag_shares
    if last is not None and last.shares is not None:
        shares = last.shares
    elif rollout.split is not None:
        shares = dict(rollout.split.shares)
    return None if shares is None else {variant: share / 100 for variant, share in shares.items()}
