"""What an alert says: a line for people, and the document for a webhook. Numbers and names alone, never content."""

from datetime import UTC, datetime

from proxy.domain.alerts import TRAITS, AlertChange, Because, Metric, Rule, State

_WHY = {
    Because.TOO_FEW_CALLS: "there are too few calls now to say more",
    Because.RULE_GONE: "alerts.yaml has no such rule any more",
}


def number_text(metric: Metric, value: float) -> str:
    """`4.2 %`, `$12.30`, `8,200 ms`, `3`."""
    match TRAITS[metric].unit:
        case "%":
            return f"{100 * value:.3g} %"
        case "USD":
            return f"${value:,.2f}" if value >= 1 or not value else f"${value:.3g}"
        case "ms":
            return f"{value:,.0f} ms"
    return f"{value:,.0f}"


def duration_text(duration_s: float) -> str:
    """`90 s`, `10 min`, `2.5 h`."""
    for unit, unit_s in (("h", 3600), ("min", 60)):
        if duration_s >= 2 * unit_s:
            return f"{duration_s / unit_s:.3g} {unit}"
    return f"{duration_s:.0f} s"


def calls_text(calls: int) -> str:
    """`1 call`, `1,200 calls`."""
    return f"{calls:,} call{'' if calls == 1 else 's'}"


def subject(it: Rule | AlertChange) -> str:
    """What is watched: `p95 of latency over 10 min, model gpt-5`."""
    trait = TRAITS[it.metric]
    quantile = f"p{100 * it.quantile:g} of " if trait.is_quantile else ""
    where = "".join(f", {name} {value}" for name, value in it.where.items())
    return f"{quantile}{trait.label} over {duration_text(it.window_s)}{where}"


def sentence(change: AlertChange) -> str:
    """The alert in a line."""
    about = f"{change.rule}: {subject(change)}"
    is_now = "" if change.value is None else f" is {number_text(change.metric, change.value)}"
    if change.state is State.RESOLVED:
        why = f", {_WHY[change.because]}" if change.because in _WHY else is_now
        return f"Resolved after {duration_text(change.lasted_s)}: {about}{why}."
    known = f", usually {number_text(change.metric, change.usual)}" if change.usual is not None else ""
    of = f", of {calls_text(change.calls)}" if change.calls else ""
    return f"Alert: {about}{is_now}, above {number_text(change.metric, change.limit)}{known}{of}."


def message(change: AlertChange, link: str | None) -> dict[str, object]:
    """For the webhook. Slack and others that read `text` show the line and the link."""
    said = sentence(change)
    return {
        "text": f"{said} {link}" if link else said,
        "state": change.state.value,
        "alert": change.rule,
        "alert_id": change.alert_id,
        "metric": change.metric.value,
        "value": change.value,
        "limit": change.limit,
        "usual": change.usual,
        "calls": change.calls,
        "window_s": change.window_s,
        "where": dict(change.where),
        "at": _moment(change.at_unix_us),
        "fired_at": _moment(change.fired_at_unix_us),
        "because": None if change.because is None else change.because.value,
        "link": link,
    }


def trial(link: str | None) -> dict[str, object]:
    """For trying the webhook out."""
    said = "Promptlane can reach you here: this is a test, and nothing is wrong."
    return {"text": f"{said} {link}" if link else said, "state": "test", "link": link}


def _moment(unix_us: int) -> str:
    return datetime.fromtimestamp(unix_us / 1e6, UTC).isoformat(timespec="seconds")
