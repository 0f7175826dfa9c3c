"""What one reply cost, in USD, as Decimal; unknown is None with a status that says why."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class CostStatus(StrEnum):
    """`PARTIAL`: some counted part had no price, or was estimated away; `UNKNOWN`: no usage to price."""

    PRICED = "priced"
    PARTIAL = "partial"
    UNPRICED = "unpriced"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPart:
    """One step of the sum: `quantity × unit_price_usd = amount_usd`."""

    name: str
    quantity: Decimal
    unit_price_usd: Decimal
    amount_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The money of one attempt. `source` is "provider", "table" or ""."""

    status: CostStatus
    total_usd: Decimal | None = None
    parts: tuple[CostPart, ...] = ()
    source: str = ""
    pricing_version: str | None = None
