"""`promptlane rollout`: who gets which variant now, set by hand, stopped, or as configured again."""

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from proxy.adapters.rollout_state import RolloutState
from proxy.cli.configured_rollouts import NamedRollout, add_places, configured, guarded, rollout_named, rollouts_of
from proxy.cli.posthog_project import Misused
from proxy.cli.rollout_steps import change_of, follow_in_posthog, stop_shares
from proxy.domain.overrides import ChangedBy
from proxy.domain.rollout import Split
from proxy.domain.rollout_changes import EVIDENCE_CHARS, AtPostHog, RolloutChange

_CONFIGURED = "configured"
_AT_POSTHOG = {
    AtPostHog.NOT_ASKED: "",
    AtPostHog.PENDING: "; PostHog's flag is still to follow",
    AtPostHog.DONE: "; PostHog's flag has the same shares",
    AtPostHog.REFUSED: "; PostHog's flag was refused the change",
}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser(
        "rollout",
        help="who gets which variant: look, set, stop",
        description="Who gets which variant of a prompt or of an alias. A change counts at once in all workers of the "
        "data folder and lasts over restarts. With POSTHOG_PERSONAL_API_KEY (scope feature_flag:write) and "
        "POSTHOG_PROJECT_ID, the flag in PostHog gets the same shares.",
    )
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    status = verbs.add_parser("status", help="what counts now, who said so, and why")
    status.add_argument("name", metavar="NAME", nargs="?", help="one prompt, alias or flag (default: all)")
    status.set_defaults(run=guarded(_status))
    stop = verbs.add_parser("stop", help="everybody gets control, at once")
    stop.set_defaults(run=guarded(_stop))
    set_ = verbs.add_parser("set", help="set the shares, or let the configuration count again")
    set_.set_defaults(run=guarded(_set))
    for each in (stop, set_):
        each.add_argument("name", metavar="NAME", help="the prompt, the alias or the flag")
        each.add_argument("--why", metavar="TEXT", type=_why, default="", help="a reason, for those who look later")
    set_.add_argument(
        "shares",
        metavar="SHARE",
        nargs="+",
        help=f"VARIANT=PERCENT, each variant once, 100 in all; or the word `{_CONFIGURED}`",
    )
    for each in (status, stop, set_):
        add_places(each)


def _why(text: str) -> str:
    """For argparse."""
    if not text.isprintable() or len(text) > EVIDENCE_CHARS:
        raise argparse.ArgumentTypeError(f"a reason is one line of at most {EVIDENCE_CHARS} characters")
    return text


def _status(args: argparse.Namespace) -> int:
    places, configuration = configured(args)
    last = {change.flag: change for change in RolloutState(places.data_dir).changes()}
    wanted = rollouts_of(configuration) if args.name is None else [rollout_named(configuration, args.name)]
    for named in wanted:
        for line in _lines(named, last.get(named.rollout.flag)):
            print(line)
    if not wanted:
        print("Nothing is rolled out: no prompt and no alias has a `flag` or a `split`.")
    return 0


def _lines(named: NamedRollout, change: RolloutChange | None) -> Sequence[str]:
    split = named.rollout.split
    written = "by the flag in PostHog" if split is None else _shares_text(dict(split.shares))
    if change is None or change.shares is None:
        yes = [f"{named.name}  flag {named.rollout.flag}  as configured: {written}"]
    else:
        yes = [f"{named.name}  flag {named.rollout.flag}  {_shares_text(change.shares)}, not as configured: {written}"]
    if change is not None:
        at = datetime.fromtimestamp(change.changed_at_unix_us / 1e6, UTC)
        why = f": {change.evidence}" if change.evidence else ""
        yes.append(
            f"  since {at:%Y-%m-%d %H:%M} UTC by the {change.changed_by.value}{_AT_POSTHOG[change.at_posthog]}{why}"
        )
    return yes


def _stop(args: argparse.Namespace) -> int:
    places, configuration = configured(args)
    named = rollout_named(configuration, args.name)
    return _change(RolloutState(places.data_dir), named, stop_shares(named), args.why)


def _set(args: argparse.Namespace) -> int:
    places, configuration = configured(args)
    named = rollout_named(configuration, args.name)
    shares = None if args.shares == [_CONFIGURED] else _shares(args.shares, named)
    return _change(RolloutState(places.data_dir), named, shares, args.why)


def _change(state: RolloutState, named: NamedRollout, shares: Mapping[str, float] | None, why: str) -> int:
    change = change_of(named, shares, ChangedBy.OPERATOR, why)
    state.add(change)
    shown = "runs as configured" if shares is None else f"is at {_shares_text(shares)}"
    print(f"{named.name} {shown} from now on.")
    if (told := follow_in_posthog(state, change, named.rollout.default)) is not None:
        print(told)
    elif shares is not None and named.rollout.split is None:
        print("PostHog's own flag is unchanged: without a personal key the change counts in this proxy alone.")
    return 0


def _shares(texts: Sequence[str], named: NamedRollout) -> dict[str, float]:
    """Raises Misused."""
    found: dict[str, Decimal] = {}
    for text in texts:
        variant, is_given, percent = text.partition("=")
        if not is_given or variant in found:
            raise Misused(f"{text!r}: write each variant once, as VARIANT=PERCENT, or `{_CONFIGURED}` alone.")
        if variant not in named.variants:
            raise Misused(f"{named.name} has no variant {variant!r}; it has {', '.join(named.variants)}.")
        found[variant] = _percent(text, percent)
    try:
        split = Split.of(found)
    except ValueError as error:
        raise Misused(f"{error}".rstrip(".") + ".") from None
    return dict(split.shares)


def _percent(text: str, percent: str) -> Decimal:
    """Raises Misused."""
    try:
        number = Decimal(percent.removesuffix("%"))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise Misused(f"{text!r}: {percent!r} is no percentage.")
    return number


def _shares_text(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{share:g}% {variant}" for variant, share in shares.items())
