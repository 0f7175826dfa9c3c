"""Warnings that an operator can act on, said once a day each."""

import logging
import re
from datetime import UTC, datetime

from proxy.domain.exchange import Exchange
from proxy.domain.pricing import CostStatus

log = logging.getLogger(__name__)

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,99}")
_REMEMBERED = 1_000


class UnpricedModels:
    """Names each model that has no price, with the YAML to paste into pricing.yaml."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str, str]] = set()

    def observe(self, exchange: Exchange) -> None:
        """Look at one settled call. A name that is not plain is not repeated: it may be anything."""
        attempt = exchange.final_attempt
        if attempt is None or attempt.cost is None or attempt.cost.status is not CostStatus.UNPRICED:
            return
        requested = exchange.call.requested_model if exchange.call else None
        model = (attempt.reading.model if attempt.reading else None) or attempt.target.model or requested or ""
        provider = attempt.target.provider.name
        day = datetime.fromtimestamp(exchange.received_unix_us / 1e6, UTC).date().isoformat()
        if not _PLAIN_NAME.fullmatch(model) or (day, provider, model) in self._said:
            return
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said.add((day, provider, model))
        log.warning(
            "no price for a model: its calls have no cost; paste `yaml` under `models:` in pricing.yaml",
            extra={"model": model, "provider": provider, "yaml": _yaml(provider, model, day)},
        )


def _yaml(provider: str, model: str, day: str) -> str:
    return (
        f'- {{match: {{provider: {provider}, model: "{model}"}}, prices: [{{from: {day}, '
        'input_usd_per_mtok: 0.00, output_usd_per_mtok: 0.00, source: "", checked: ' + day + "}]}"
    )
