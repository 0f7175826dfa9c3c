"""Warnings that an operator can act on, said once a day each."""

import logging
import re
from datetime import UTC, datetime

from proxy.domain.exchange import Exchange
from proxy.domain.pricing import CostStatus
from proxy.domain.privacy import looks_like_secret

log = logging.getLogger(__name__)

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,99}")
_REMEMBERED = 1_000


class UnpricedModels:
    """Names each model that has no price, with the YAML to paste into pricing.yaml."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str, str | None]] = set()

    def observe(self, exchange: Exchange) -> None:
        """Look at one settled call. A name that is not plain, may be a key, or only the client gave is withheld."""
        attempt = exchange.final_attempt
        if attempt is None or attempt.cost is None or attempt.cost.status is not CostStatus.UNPRICED:
            return
        model = (attempt.reading.model if attempt.reading else None) or attempt.target.model or ""
        provider = attempt.target.provider.name
        day = datetime.fromtimestamp(exchange.received_unix_us / 1e6, UTC).date().isoformat()
        can_be_told = _PLAIN_NAME.fullmatch(model) is not None and not looks_like_secret(model)
        if not self._is_new(day, provider, model if can_be_told else None):
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

    def _is_new(self, day: str, provider: str, model: str | None) -> bool:
        said = (day, provider, model)
        if said in self._said:
            return False
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said.add(said)
        return True


def _yaml(provider: str, model: str, day: str) -> str:
    return (
        f'- {{match: {{provider: {provider}, model: "{model}"}}, prices: [{{from: {day}, '
        'input_usd_per_mtok: 0.00, output_usd_per_mtok: 0.00, source: "", checked: ' + day + "}]}"
    )
