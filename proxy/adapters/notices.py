"""Warnings that an operator can act on, said once a day each."""

import logging
import re
from datetime import UTC, datetime

from proxy.domain.double_capture import WARNING
from proxy.domain.exchange import Exchange
from proxy.domain.pricing import CostStatus
from proxy.domain.privacy import looks_like_secret

log = logging.getLogger(__name__)

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,99}")
_REMEMBERED = 1_000
_UNPRICED = CostStatus.UNPRICED


class _Said:
    """What was said, so that it is said once."""

    def __init__(self) -> None:
        self._said: set[tuple[str | None, ...]] = set()

    def is_new(self, *what: str | None) -> bool:
        """True the first time; the day belongs to what is said."""
        if what in self._said:
            return False
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said.add(what)
        return True


def _day(exchange: Exchange) -> str:
    return datetime.fromtimestamp(exchange.received_unix_us / 1e6, UTC).date().isoformat()


class WrappedCalls:
    """Tells of clients whose calls PostHog's own wrapper captures too, by proxy key."""

    def __init__(self) -> None:
        self._said = _Said()

    def observe(self, exchange: Exchange) -> None:
        """Look at one settled call."""
        caller = exchange.caller
        if caller is None or WARNING not in caller.warnings or not exchange.endpoint.is_model_call:
            return
        if self._said.is_new(_day(exchange), caller.key_alias):
            log.warning(
                "an app calls through PostHog's own wrapper, which captures the same calls: PostHog counts them twice; "
                "remove the wrapper, or set `families: {ai: false}` in analytics.yaml",
                extra={"key_alias": caller.key_alias, "endpoint": exchange.endpoint.name},
            )


class UnpricedModels:
    """Names each model that has no price, with the YAML to paste into pricing.yaml."""

    def __init__(self) -> None:
        self._said = _Said()

    def observe(self, exchange: Exchange) -> None:
        """Look at one settled call. A name that is not plain, may be a key, or only the client gave is withheld."""
        attempt = exchange.final_attempt
        if attempt is None or attempt.cost is None or attempt.cost.status is not _UNPRICED:
            return
        model = (attempt.reading.model if attempt.reading else None) or attempt.target.model or ""
        provider = attempt.target.provider.name
        day = _day(exchange)
        can_be_told = _PLAIN_NAME.fullmatch(model) is not None and not looks_like_secret(model)
        if not self._said.is_new(day, provider, model if can_be_told else None):
            return
        if can_be_told:
            log.warning(
                "no price for a model: its calls have no cost; paste `yaml` under `models:` in pricing.yaml",
                extra={"model": model, "provider": provider, "yaml": _yaml(provider, model, day)},
            )
        else:
            log.warning(
                "no price for a model whose name is withheld, since it could be a key or a text, or only the client "
                "named it: its calls have no cost; `model` in their events names it",
                extra={"provider": provider},
            )


def _yaml(provider: str, model: str, day: str) -> str:
    return (
        f'- {{match: {{provider: {provider}, model: "{model}"}}, prices: [{{from: {day}, '
        'input_usd_per_mtok: 0.00, output_usd_per_mtok: 0.00, source: "", checked: ' + day + "}]}"
    )
