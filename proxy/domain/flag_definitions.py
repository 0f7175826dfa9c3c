"""The definitions of a project's feature flags, as far as evaluation needs them, and made safe to evaluate.

They come from another machine and are evaluated between a call and its provider. So payloads and descriptions are
left out, a flag whose conditions would take too many steps is refused, and regular expressions are taken out of the
conditions: each becomes a property of its own, which is `true` where an engine that takes linear time found a match.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.domain.rollout import FlagFacts

MAX_STEPS = 5_000
"""Comparisons that one evaluation may take; each costs less than a microsecond."""
MAX_FLAGS = 10_000
_KEPT = (
    "id", "key", "active", "version", "has_experiment", "ensure_experience_continuity", "bucketing_identifier",
)  # fmt: skip
_REGEX_OPERATORS = {"regex": "true", "not_regex": "false"}


class MalformedDefinitionsError(ValueError):
    """What was sent or kept is no reply of PostHog's."""


class QuotaUsedUpError(Exception):
    """PostHog has sent no flags because of a bill, under a status that means well."""


@dataclass(frozen=True, slots=True)
class RegexFilter:
    """A condition on a property that was taken out: `name` stands for whether `pattern` is found in `key`'s value."""

    name: str
    key: str
    pattern: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagDefinition:
    """One flag. `rules` is its definition for PostHog's SDK, with the expressions taken out."""

    key: str
    is_active: bool
    facts: FlagFacts
    variants: tuple[str, ...]
    """What it may answer beside `true` and `false`; none for a boolean flag."""
    rules: Mapping[str, Any] = field(repr=False)
    needs: tuple[str, ...] = ()
    """Keys of the flags that its conditions ask for."""
    regexes: tuple[RegexFilter, ...] = ()
    is_too_costly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """Those of a project. `cohorts` and `group_types` are as PostHog's SDK takes them."""

    flags: Mapping[str, FlagDefinition] = field(default_factory=dict)
    cohorts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    group_types: Mapping[str, str] = field(default_factory=dict)
    matching_version: int = 1


def kept_of(document: object) -> dict[str, Any]:
    """What is kept of PostHog's reply. Raises MalformedDefinitionsError and QuotaUsedUpError."""
    if isinstance(document, dict) and document.get("quotaLimited"):
        raise QuotaUsedUpError
    if not isinstance(document, dict) or not isinstance(document.get("flags"), list):
        raise MalformedDefinitionsError("no list of flags")
    flags = document["flags"]
    if len(flags) > MAX_FLAGS:
        raise MalformedDefinitionsError("too many flags")
    return {
        "flags": [_kept_flag(flag) for flag in flags if isinstance(flag, dict) and isinstance(flag.get("key"), str)],
        "cohorts": _mapping(document.get("cohorts")),
        "group_type_mapping": _mapping(document.get("group_type_mapping")),
        "property_matching_version": 2 if document.get("property_matching_version") == 2 else 1,
    }


def _kept_flag(flag: Mapping[str, Any]) -> dict[str, Any]:
    filters = {name: value for name, value in _mapping(flag.get("filters")).items() if name != "payloads"}
    return {**{name: flag[name] for name in _KEPT if name in flag}, "filters": filters}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def read_definitions(document: object) -> Definitions:
    """PostHog's reply, or what was kept of one, made ready. Raises MalformedDefinitionsError and RecursionError."""
    kept = kept_of(document)
    regexes: dict[tuple[str, str], RegexFilter] = {}
    cohorts = {str(number): _without_regexes(group, regexes) for number, group in kept["cohorts"].items()}
    ready = {flag["key"]: {**flag, "filters": _without_regexes(flag["filters"], regexes)} for flag in kept["flags"]}
    by_name = {regex.name: regex for regex in regexes.values()}
    return Definitions(
        flags={key: _definition(rules, ready, cohorts, by_name) for key, rules in ready.items()},
        cohorts=cohorts,
        group_types={str(number): name for number, name in kept["group_type_mapping"].items() if isinstance(name, str)},
        matching_version=kept["property_matching_version"],
    )


def _without_regexes(node: Any, regexes: dict[tuple[str, str], RegexFilter]) -> Any:  # noqa: ANN401 - JSON
    """A copy with each expression replaced by a comparison with the property that stands for it."""
    if isinstance(node, list):
        return [_without_regexes(part, regexes) for part in node]
    if not isinstance(node, dict):
        return node
    wanted = _REGEX_OPERATORS.get(node.get("operator", "")) if isinstance(node.get("operator"), str) else None
    if wanted is None or not isinstance(node.get("key"), str):
        return {name: _without_regexes(part, regexes) for name, part in node.items()}
    key, pattern = node["key"], str(node.get("value"))
    regex = regexes.setdefault((key, pattern), RegexFilter(f"$regex/{len(regexes)}", key, pattern))
    return {**node, "key": regex.name, "operator": "exact", "value": wanted}


def _definition(
    rules: Mapping[str, Any],
    flags: Mapping[str, Mapping[str, Any]],
    cohorts: Mapping[str, Any],
    regexes: Mapping[str, RegexFilter],
) -> FlagDefinition:
    steps, asked, needs = 0, dict[str, RegexFilter](), dict[str, None]()
    for found in _filters(rules, flags, cohorts):
        values = found.get("value")
        steps += len(values) if isinstance(values, list) else 1
        if steps > MAX_STEPS:
            break
        name = str(found.get("key"))
        if name in regexes:
            asked[name] = regexes[name]
        needs |= dict.fromkeys(_chain(found))
    facts = FlagFacts(
        id=_integer(rules.get("id")),
        version=_integer(rules.get("version")),
        has_experiment=rules["has_experiment"] if isinstance(rules.get("has_experiment"), bool) else None,
    )
    return FlagDefinition(
        key=rules["key"],
        is_active=rules.get("active") is True,
        facts=facts,
        variants=_variants(rules["filters"]),
        rules=rules,
        needs=tuple(needs),
        regexes=tuple(asked.values()),
        is_too_costly=steps > MAX_STEPS,
    )


def _integer(value: object) -> int | None:
    return value if type(value) is int else None


def _variants(filters: Mapping[str, Any]) -> tuple[str, ...]:
    listed = _mapping(filters.get("multivariate")).get("variants")
    entries = listed if isinstance(listed, list) else []
    return tuple(entry["key"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("key"), str))


def _filters(
    rules: Mapping[str, Any], flags: Mapping[str, Mapping[str, Any]], cohorts: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """Every filter that an evaluation may come to, as often as it may; without an end where it has none."""
    waiting: list[Any] = [rules["filters"].get("groups")]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            yield node
            waiting += [node[name] for name in ("properties", "values") if name in node]
            if node.get("type") == "cohort":
                waiting.append(cohorts.get(str(node.get("value"))))
            waiting += [flags[key]["filters"].get("groups") for key in _chain(node) if key in flags]


def _chain(found: Mapping[str, Any]) -> list[str]:
    """The flags that a filter asks for."""
    chain = found.get("dependency_chain")
    return [key for key in chain if isinstance(key, str)] if isinstance(chain, list) else []
