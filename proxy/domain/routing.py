"""Which provider and model a call goes to: a table in, an ordered plan out.

A model is looked up by its exact name, then by the patterns, the one that says most first (see `globs`), then it
goes to the default provider of the call's dialect. A plan starts with one target, drawn by weight or chosen by a
rollout, and goes on with the route's fallbacks in their order; targets that were not drawn are no fallbacks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from proxy.domain.checks import Check
from proxy.domain.endpoints import Dialect
from proxy.domain.errors import UnknownModel
from proxy.domain.globs import is_glob, matches
from proxy.domain.judges import Judge
from proxy.domain.prompt_versions import Demand
from proxy.domain.rollout import Decision, Rollout
from proxy.domain.values import value_class


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """`first_byte_s` runs from the request's last byte to the reply's first; `total_s` None: no limit."""

    connect_s: float = 5.0
    first_byte_s: float = 600.0
    idle_s: float = 600.0
    total_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One configured upstream host. `api_key` None means pass-through of the client's own credentials."""

    name: str
    label: str
    """What events and prices say: openai, anthropic, google, azure_openai, else the known host's (groq, …), else
    `name`."""
    kind: Literal["openai", "anthropic", "gemini", "azure_openai"]
    dialect: Dialect
    base_url: str
    """As the SDK would have it, without a trailing slash; OpenAI's includes `/v1`."""
    api_key: str | None = field(default=None, repr=False)
    key_env: str | None = None
    """The variable that holds `api_key`, for what the operator is told."""
    timeouts: Timeouts = Timeouts()
    include_usage: Literal["auto", "inject", "never"] = "auto"


@value_class
class Target:
    """One provider and model to try; `model` None sends the name the client used."""

    provider: Provider
    model: str | None = None
    weight: int = 1
    """Its share of the draw among the route's targets; 0 is never drawn."""

    label: str = field(init=False, repr=False)
    """`provider` or `provider/model`, for events, metrics and `X-LLM-Target`."""

    def __post_init__(self) -> None:
        label = f"{self.provider.name}/{self.model}" if self.model else self.provider.name
        object.__setattr__(self, "label", label)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Retries of the same target before commit. `on` holds "connect", "5xx" or a status such as "429"."""

    max: int = 0
    on: frozenset[str] = frozenset({"connect", "429", "5xx"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRollout:
    """A flag or a split that chooses the target, in place of a draw. A variant without a target gets the default's."""

    rollout: Rollout
    targets: Mapping[str, Target]
    """By variant; the rollout's default is among them."""

    def target_of(self, decision: Decision) -> Target:
        """The target of what was decided."""
        return self.targets.get(decision.variant, self.targets[self.rollout.default])


@value_class
class Plan:
    """Ordered targets: the drawn one first, then fallbacks."""

    targets: tuple[Target, ...]
    needs_key: bool
    """One of them spends the operator's key, so that nobody passes without a proxy key."""
    retries: RetryPolicy = RetryPolicy()
    demand: Demand | None = None
    checks: tuple[Check, ...] = ()
    judges: tuple[Judge, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One entry of `models:`. One of `targets` is drawn by weight, or chosen by `rollout`; `fallback` is tried in order
    after it.
    """

    pattern: str
    targets: tuple[Target, ...]
    fallback: tuple[Target, ...] = ()
    retries: RetryPolicy = RetryPolicy()
    rollout: TargetRollout | None = None
    demand: Demand | None = None
    """Of a prompt version; None: as for all calls."""
    checks: tuple[Check, ...] = ()
    judges: tuple[Judge, ...] = ()
    plans: Mapping[str, Plan] = field(init=False, repr=False)
    """By the label of the target that goes first."""

    def __post_init__(self) -> None:
        chosen = (*self.targets, *(self.rollout.targets.values() if self.rollout else ()))
        object.__setattr__(self, "plans", {target.label: self._plan_with(target) for target in chosen})

    def _plan_with(self, first: Target) -> Plan:
        ordered = (first, *[target for target in self.fallback if target.label != first.label])
        return Plan(
            targets=ordered,
            needs_key=any(target.provider.api_key is not None for target in ordered),
            retries=self.retries,
            demand=self.demand,
            checks=self.checks,
            judges=self.judges,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingTable:
    """`routes` in order of precedence; `defaults` by dialect, None where unnamed models are refused.

    What every call would ask of it is answered when it is made.
    """

    providers: Mapping[str, Provider]
    routes: tuple[Route, ...] = ()
    defaults: Mapping[Dialect, Provider | None] = field(default_factory=dict)
    keyed_dialects: frozenset[Dialect] = field(init=False)
    """Where every provider spends the operator's key, so that nobody passes without a proxy key."""
    named_routes: Mapping[str, Route] = field(init=False)
    """Those for one model, by its name: they come before the patterns."""
    pattern_routes: tuple[Route, ...] = field(init=False)
    default_plans: Mapping[Dialect, Plan] = field(init=False)

    def __post_init__(self) -> None:
        keys: dict[Dialect, list[str | None]] = {}
        for provider in self.providers.values():
            keys.setdefault(provider.dialect, []).append(provider.api_key)
        answers = {
            "keyed_dialects": frozenset(dialect for dialect, of_it in keys.items() if None not in of_it),
            "named_routes": {route.pattern: route for route in reversed(self.routes) if not is_glob(route.pattern)},
            "pattern_routes": tuple(route for route in self.routes if is_glob(route.pattern)),
            "default_plans": {
                dialect: Plan(targets=(Target(provider=provider),), needs_key=provider.api_key is not None)
                for dialect, provider in self.defaults.items()
                if provider is not None
            },
        }
        for name, answer in answers.items():
            object.__setattr__(self, name, answer)


def plan(
    table: RoutingTable,
    model: str | None,
    dialect: Dialect,
    draw: Callable[[], float],
    decide: Callable[[Rollout], Decision],
) -> Plan:
    """Choose the targets of one call; `draw`, asked where there is a choice, is uniform in [0, 1), `decide` is asked
    where a rollout chooses.

    `model` is None where the call names none (a list of models); it goes to the dialect's default provider. Raises
    UnknownModel.
    """
    route = route_of(table, model) if model is not None else None
    if route is None:
        if (default := table.default_plans.get(dialect)) is None:
            raise _no_target(dialect)
        return default
    targets, choice = route.targets, route.rollout
    if targets[0].provider.dialect is not dialect:
        raise UnknownModel(
            f"routing.yaml sends this model to a provider of the {targets[0].provider.dialect.value} dialect, "
            f"and the call speaks {dialect.value}. Call that dialect's endpoint, or name a target that speaks this one."
        )
    if choice is not None:
        chosen = choice.target_of(decide(choice.rollout))
    else:
        chosen = targets[0] if len(targets) == 1 else _drawn(targets, draw())
    return route.plans[chosen.label]


def route_of(table: RoutingTable, model: str) -> Route | None:
    """The entry of `models:` for a model; None where the dialect's default takes it."""
    named = table.named_routes.get(model)
    if named is not None:
        return named
    for route in table.pattern_routes:
        if matches(route.pattern, model):
            return route
    return None


def _no_target(dialect: Dialect) -> UnknownModel:
    return UnknownModel(
        "No target for this model. Add it under `models:` in routing.yaml, "
        f"or name a provider in `default_provider: {{{dialect.value}: …}}`."
    )


def _drawn(targets: tuple[Target, ...], draw: float) -> Target:
    """The target in whose share of the summed weights `draw` falls, in file order."""
    mark = draw * sum(target.weight for target in targets)
    for target in targets:
        mark -= target.weight
        if mark < 0:
            return target
    return max(targets, key=lambda target: target.weight)
