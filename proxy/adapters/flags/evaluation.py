"""Definitions that answer, by PostHog's own SDK: what it decides here is what it decides in PostHog's other clients.

The SDK is given definitions and nothing else: no key, no poller, no queue. Without a key it cannot ask PostHog,
whatever it misses, and its log, which repeats what servers and callers say, is off. Regular expressions are not left
to it: Python's may take exponential time, so RE2 looks for them and the SDK compares the answers.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from proxy.domain.flag_definitions import Definitions, FlagDefinition
from proxy.domain.identity import Caller, Scalar
from proxy.domain.linear_patterns import BadPattern, compiled
from proxy.domain.rollout import Decision, Reason, Rollout, by_default, variant_problem

if TYPE_CHECKING:
    from posthog import Posthog

_NOWHERE = "http://127.0.0.1:9"
"""No request is ever made; should the SDK try one day, it gets no further than this."""
_MISSING_CONTEXT = "missing_context"


class Evaluation:
    """Definitions of one moment. To make one takes a while and belongs into a thread; `decide` takes microseconds."""

    def __init__(self, definitions: Definitions, wanted: frozenset[str], person_properties: frozenset[str]) -> None:
        """`wanted` are the flags that will be asked for; `person_properties` what of a caller's own their conditions
        may see.
        """
        self._flags = dict(_with_needs(definitions.flags, wanted))
        self._properties = person_properties
        patterns = {regex.pattern for flag in self._flags.values() for regex in flag.regexes}
        self._patterns = {pattern: _compiled(pattern) for pattern in patterns}
        usable = [flag for flag in self._flags.values() if not flag.is_too_costly]
        self._client = _client(definitions, usable)

    def decide(self, rollout: Rollout, caller: Caller) -> Decision:
        """May raise anything where a definition is malformed."""
        flag = self._flags.get(rollout.flag)
        if flag is None:
            return by_default(rollout, Reason.UNKNOWN_FLAG)
        if (refusal := self._refusal(flag)) is not None:
            return by_default(rollout, refusal)
        person = {name: caller.properties[name] for name in self._properties & caller.properties.keys()}
        person["distinct_id"] = caller.distinct_id
        groups: dict[str, dict[str, Scalar]] = {kind: {"$group_key": key} for kind, key in caller.groups.items()}
        self._look_for_patterns(flag, person, *groups.values())
        found = self._client.evaluate_flags(
            caller.distinct_id,
            flag_keys=[flag.key],
            groups=dict(caller.groups),
            person_properties=person,
            group_properties=groups,
            only_evaluate_locally=True,
        )
        value = found.get_flag(flag.key, send_feature_flag_events=False)
        if value is None:
            unresolved = found.unresolved_flags.get(flag.key)
            return by_default(rollout, _reason_of(None if unresolved is None else unresolved.value))
        variant = value if isinstance(value, str) else str(value).lower()
        if variant_problem(variant) is not None:
            return by_default(rollout, Reason.FAILED)
        return Decision(flag=flag.key, variant=variant, reason=Reason.MATCHED, facts=flag.facts)

    def _refusal(self, flag: FlagDefinition) -> Reason | None:
        if not flag.is_active:
            return Reason.INACTIVE
        if flag.is_too_costly:
            return Reason.TOO_COSTLY
        if any(self._patterns[regex.pattern] is None for regex in flag.regexes):
            return Reason.UNSUPPORTED
        return None

    def _look_for_patterns(self, flag: FlagDefinition, *bearers: dict[str, Scalar]) -> None:
        for regex in flag.regexes:
            pattern = self._patterns[regex.pattern]
            for properties in bearers:
                if regex.key in properties:
                    is_found = pattern.search(_text(properties[regex.key])) is not None
                    properties[regex.name] = "true" if is_found else "false"


def _with_needs(flags: Mapping[str, FlagDefinition], wanted: frozenset[str]) -> Iterator[tuple[str, FlagDefinition]]:
    """The wanted flags, and those that they ask for in turn, each once."""
    waiting, seen = list(wanted), set[str]()
    while waiting:
        key = waiting.pop()
        if key not in seen and (flag := flags.get(key)) is not None:
            yield key, flag
            waiting += flag.needs
        seen.add(key)


def _compiled(pattern: str) -> Any:  # noqa: ANN401
    """Ready to search; None for one that RE2 does not take."""
    try:
        return compiled(pattern)
    except BadPattern:
        return None


def _client(definitions: Definitions, flags: list[FlagDefinition]) -> "Posthog":
    from posthog import Posthog

    client = Posthog("phc_none", host=_NOWHERE, send=False, sync_mode=True, enable_local_evaluation=False)
    client.log.disabled = True
    client.feature_flags = [dict(flag.rules) for flag in flags]
    client.cohorts = dict(definitions.cohorts)
    client.group_type_mapping = dict(definitions.group_types)
    client._property_matching_version = definitions.matching_version  # noqa: SLF001 - it comes with definitions only
    return client


def _reason_of(unresolved: str | None) -> Reason:
    if unresolved is None:
        return Reason.FAILED
    return Reason.MISSING_PROPERTY if unresolved == _MISSING_CONTEXT else Reason.UNSUPPORTED


def _text(value: Scalar) -> str:
    """A value as conditions compare it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
