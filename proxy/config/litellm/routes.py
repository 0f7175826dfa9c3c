"""Deployments of one name as one entry of `models:`: their shares, their order, retries and fallbacks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import groupby
from math import gcd, inf, lcm

from proxy.config.litellm.advice import RATES
from proxy.config.litellm.deployments import Deployment
from proxy.config.litellm.parts import Part
from proxy.config.litellm.remarks import Ledger

_MOST_TARGETS, _MOST_FALLBACKS, _MOST_RETRIES, _HIGHEST_WEIGHT = 100, 20, 10, 1_000_000
_ANY_NAME = "*"


@dataclass(frozen=True, slots=True)
class TargetRef:
    """A target, by its provider's name. `model` None sends the caller's name on."""

    provider: str
    model: str | None

    @property
    def text(self) -> str:
        """As a fallback names it."""
        return self.provider if self.model is None else f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One entry of `models:`; `targets` with their weights."""

    dialect: str
    targets: Mapping[TargetRef, int]
    fallback: tuple[TargetRef, ...] = ()
    retries: int = 0

    @property
    def all_targets(self) -> tuple[TargetRef, ...]:
        """Whatever the route may reach, each once."""
        return tuple(dict.fromkeys((*self.targets, *self.fallback)))


def compatible(ledger: Ledger, deployments: Sequence[Deployment]) -> list[Deployment]:
    """Those that can be targets beside each other, the first of a name sets the dialect.

    Of those that take any name, one provider for each dialect remains.
    """
    kept: list[Deployment] = []
    for deployment in deployments:
        group = [each for each in kept if each.pattern == deployment.pattern and each.takes_any is deployment.takes_any]
        if deployment.takes_any:
            group = [each for each in group if each.upstream.dialect == deployment.upstream.dialect]
        reason = _conflict(group, deployment) if group else None
        if reason is None:
            kept.append(deployment)
        else:
            ledger.leave_out(deployment.entry, deployment.entry, reason)
    return kept


def _conflict(group: Sequence[Deployment], deployment: Deployment) -> str | None:
    first = group[0]
    if deployment.takes_any and deployment.upstream != first.upstream:
        return "of each dialect one provider takes the names that no entry has, the first: list the models of this one"
    if deployment.upstream.dialect != first.upstream.dialect:
        return (
            f"one name, one dialect: the first entry of this name speaks {first.upstream.dialect}, this one "
            f"{deployment.upstream.dialect}, and nothing is translated; give it a name of its own"
        )
    return f"a model has at most {_MOST_TARGETS} targets" if len(group) >= _MOST_TARGETS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """Makes routes. `names` has the provider's name of each deployment; `retries` is the setting for all."""

    ledger: Ledger
    names: Mapping[Deployment, str]
    retries: Part | None

    def route(self, group: Sequence[Deployment]) -> Route:
        """The entry of deployments that share a name.

        LiteLLM's retries go to another deployment of the name: here the targets are each other's fallbacks.
        """
        ranks = self._ranks(group)
        targets = self._weighted(ranks[0])
        later = [self.ref(deployment) for rank in ranks[1:] for deployment in rank]
        retries = self._retries_of(group)
        others = list(targets) if len(targets) > 1 and retries != 0 else []
        return Route(
            dialect=group[0].upstream.dialect,
            targets=targets,
            fallback=tuple(dict.fromkeys((*others, *later))),
            retries=max(0, (retries or 0) - max(0, len(others) - 1)),
        )

    def ref(self, deployment: Deployment) -> TargetRef:
        """The deployment as a target."""
        return TargetRef(self.names[deployment], deployment.model)

    def _ranks(self, group: Sequence[Deployment]) -> list[list[Deployment]]:
        """By `order`, lowest first; those without one come last."""
        orders = {deployment: self._number(deployment.params.get("order")) for deployment in group}

        def rank(deployment: Deployment) -> Fraction | float:
            order = orders[deployment]
            return inf if order is None else order

        return [list(members) for _, members in groupby(sorted(group, key=rank), key=rank)]

    def _weighted(self, group: Sequence[Deployment]) -> dict[TargetRef, int]:
        """Each target with its weight: by the first of LiteLLM's three measures that any of the group has."""
        measure = next((name for name in ("weight", "rpm", "tpm") if any(name in each.params for each in group)), "")
        shares: dict[TargetRef, Fraction] = {}
        for deployment in group:
            part = deployment.params.get(measure)
            share = self._number(part) if measure else Fraction(1)
            ref = self.ref(deployment)
            shares[ref] = shares.get(ref, Fraction(0)) + max(Fraction(0), share or Fraction(0))
            if part is not None and share is not None and measure != "weight":
                self.ledger.lost(part, f"{RATES}; it became the weight" if len(group) > 1 else RATES)
        return dict(zip(shares, _whole(list(shares.values())), strict=True))

    def _retries_of(self, group: Sequence[Deployment]) -> int | None:
        """The most that any of the group has, else what holds for all."""
        own = [part for each in group for name in ("num_retries", "max_retries") if (part := each.params.get(name))]
        parts = own or ([self.retries] if self.retries else [])
        found = [number for part in parts if (number := self._number(part)) is not None]
        if found and max(found) > _MOST_RETRIES:
            self.ledger.lost(parts[0], f"there are at most {_MOST_RETRIES} retries")
        return min(_MOST_RETRIES, max(0, *map(int, found))) if found else None

    def _number(self, part: Part | None) -> Fraction | None:
        if part is None:
            return None
        if (number := part.number) is None:
            self.ledger.lost(part, "this must be a number")
            return None
        self.ledger.settle(part)
        return Fraction(number)


def _whole(shares: Sequence[Fraction]) -> list[int]:
    """The shares in small whole numbers; all alike where none is above 0."""
    if not any(shares):
        return [1] * len(shares)
    scale = lcm(*(share.denominator for share in shares))
    weights = [int(share * scale) for share in shares]
    divisor = gcd(*weights)
    highest = max(weights) // divisor
    if highest <= _HIGHEST_WEIGHT:
        return [weight // divisor for weight in weights]
    return [max(1, weight // divisor * _HIGHEST_WEIGHT // highest) if weight else 0 for weight in weights]


@dataclass(slots=True)
class Fallbacks:
    """Which names stand in for a name, as LiteLLM's two settings say it."""

    ledger: Ledger
    routes: dict[str, Route]
    _by_name: dict[str, list[Part]] = field(default_factory=dict)
    _default: list[Part] = field(default_factory=list)

    def take(self, fallbacks: Part | None, default_fallbacks: Part | None) -> None:
        """Note both settings; what names no route is remarked upon."""
        for mapping in fallbacks.items() if fallbacks is not None else ():
            for name, part in mapping.members().items():
                if name == _ANY_NAME:
                    self._default += self._known(part)
                elif name in self.routes:
                    self._by_name.setdefault(name, []).extend(self._known(part))
                else:
                    self.ledger.lost(part, "no model of this name was translated")
        if default_fallbacks is not None:
            self._default += self._known(default_fallbacks)
        self.ledger.settle(fallbacks)
        self.ledger.settle(default_fallbacks)

    def _known(self, names: Part) -> list[Part]:
        known = []
        for part in names.items() or [names]:
            if part.text in self.routes:
                known.append(part)
            else:
                self.ledger.lost(part, "no model of this name was translated")
        return known

    def apply(self) -> None:
        """Append the targets of the names that stand in to each route; the default ones where it has none."""
        before = dict(self.routes)
        for name, route in before.items():
            parts = self._by_name.get(name, self._default)
            added = [ref for part in parts if part.text != name for ref in self._targets(route, part, before)]
            fallback = tuple(dict.fromkeys((*route.fallback, *added)))
            if len(fallback) > _MOST_FALLBACKS:
                self.ledger.lost(parts[-1], f"a model has at most {_MOST_FALLBACKS} fallbacks")
            self.routes[name] = replace(route, fallback=fallback[:_MOST_FALLBACKS])

    def _targets(self, route: Route, part: Part, routes: Mapping[str, Route]) -> Iterator[TargetRef]:
        stand_in = routes[part.text or ""]
        if stand_in.dialect != route.dialect:
            self.ledger.lost(
                part,
                f"a fallback speaks the dialect of what it stands in for, {route.dialect}, and this one speaks "
                f"{stand_in.dialect}: nothing is translated",
            )
            return
        for ref in stand_in.all_targets:
            if ref.model is None:
                self.ledger.lost(part, "a pattern names no model to fall back to")
            elif route.targets.keys() != {ref}:
                yield ref
