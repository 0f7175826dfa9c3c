"""How alerts are kept between looks, and the events that tell of them."""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.domain.alerts import (
    TRAITS,
    AlertBook,
    AlertChange,
    Because,
    Delivery,
    Drops,
    Firing,
    Metric,
    State,
)
from proxy.domain.journal_rows import Outcome
from proxy.domain.outcome_properties import ALERT_FIRED, ALERT_RESOLVED
from proxy.domain.own_events import own_outcome

_VERSION = 1


def outcome_of(change: AlertChange) -> Outcome:
    """`llm_alert_fired` or `llm_alert_resolved`, the same bytes each time."""
    is_over = change.state is State.RESOLVED
    return own_outcome(
        ALERT_RESOLVED if is_over else ALERT_FIRED,
        change.alert_id,
        change.at_unix_us,
        {
            "alert_id": change.alert_id,
            "alert_name": change.rule,
            "alert_metric": change.metric,
            "alert_value": change.value,
            "alert_limit": change.limit,
            "alert_usual": change.usual,
            "alert_quantile": change.quantile if TRAITS[change.metric].is_quantile else None,
            "alert_window_s": change.window_s,
            "alert_calls": change.calls if TRAITS[change.metric].is_of_calls else None,
            "alert_where": dict(change.where) or None,
            "alert_lasted_s": change.lasted_s if is_over else None,
            "alert_resolved_because": change.because,
            "environment": change.where.get("environment"),
        },
    )


def to_json(book: AlertBook) -> bytes:
    """As it is kept."""
    document = {
        "version": _VERSION,
        "looked_at_unix_us": book.looked_at_unix_us,
        "firing": [
            {"fired": _as_json(each.fired), "unknown_since_unix_us": each.unknown_since_unix_us}
            for each in book.firing.values()
        ],
        "changes": list(map(_as_json, book.changes)),
        "drops": {
            "totals": None if book.drops.totals is None else dict(book.drops.totals),
            "lost": book.drops.lost,
        },
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def from_json(text: bytes) -> AlertBook:
    """What `to_json` gave. Raises ValueError for anything else."""
    try:
        document = orjson.loads(text)
        if document["version"] != _VERSION:
            raise ValueError("of another version")
        looked_at, totals = document["looked_at_unix_us"], document["drops"]["totals"]
        firing = [
            Firing(fired=_of_json(each["fired"]), unknown_since_unix_us=each["unknown_since_unix_us"])
            for each in document["firing"]
        ]
        return AlertBook(
            looked_at_unix_us=None if looked_at is None else int(looked_at),
            firing={each.fired.rule: each for each in firing},
            changes=tuple(map(_of_json, document["changes"])),
            drops=Drops(
                totals=None if totals is None else {str(name): int(total) for name, total in totals.items()},
                lost=tuple((int(at_us), int(count)) for at_us, count in document["drops"]["lost"]),
            ),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("no book of alerts") from error


def _as_json(change: AlertChange) -> dict[str, object]:
    return {
        "alert_id": change.alert_id,
        "state": change.state,
        "rule": change.rule,
        "metric": change.metric,
        "quantile": change.quantile,
        "window_s": change.window_s,
        "where": dict(change.where),
        "value": change.value,
        "limit": change.limit,
        "usual": change.usual,
        "calls": change.calls,
        "at_unix_us": change.at_unix_us,
        "fired_at_unix_us": change.fired_at_unix_us,
        "because": change.because,
        "delivery": change.delivery,
    }


def _of_json(each: Mapping[str, Any]) -> AlertChange:
    because = each["because"]
    return AlertChange(
        alert_id=str(each["alert_id"]),
        state=State(each["state"]),
        rule=str(each["rule"]),
        metric=Metric(each["metric"]),
        quantile=float(each["quantile"]),
        window_s=float(each["window_s"]),
        where={str(name): str(value) for name, value in each["where"].items()},
        value=_number(each["value"]),
        limit=float(each["limit"]),
        usual=_number(each["usual"]),
        calls=int(each["calls"]),
        at_unix_us=int(each["at_unix_us"]),
        fired_at_unix_us=int(each["fired_at_unix_us"]),
        because=None if because is None else Because(because),
        delivery=Delivery(each["delivery"]),
    )


def _number(value: Any) -> float | None:  # noqa: ANN401
    return None if value is None else float(value)
