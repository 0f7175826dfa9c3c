"""The page behind `trace_url`: the calls of one trace, from their records, which hold no content."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

import orjson

from proxy.domain.errors import Status
from proxy.domain.events import recorded

UNKNOWN = "–"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = (
    ("step", "agent_step_name", "{}"),
    ("endpoint", "endpoint", "{}"),
    ("model", "model", "{}"),
    ("prompt version", "prompt_version_id", "{}"),
    ("status", "status", "{}"),
    ("first token", "ttft_ms", "{:,.0f} ms"),
    ("total", "latency_ms", "{:,.0f} ms"),
    ("tokens in", "input_tokens", "{:,}"),
    ("tokens out", "output_tokens", "{:,}"),
    ("cost", "estimated_cost_usd", "${:.6f}"),
)
"""Heading, property, and how it is written; those written as numbers stand at the right."""
PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem}"
    "h1{font-size:1.3rem;overflow-wrap:anywhere}div{overflow-x:auto}"
    "table{border-collapse:collapse;white-space:nowrap;font-size:13px}"
    "td,th{padding:.3rem .6rem;text-align:left;border-bottom:1px solid #8884}th{font-weight:600}"
    ".n{text-align:right;font-variant-numeric:tabular-nums}.bad td{color:#d33}"
    "details{margin:.5rem 0}pre{overflow:auto}"
)


def render(trace_id: str, records: Sequence[bytes]) -> bytes:
    """One HTML page; every value is escaped. `records` are JSON objects in the order of the calls' ends."""
    calls = [recorded(record) for record in records]
    rows = "".join(_row(call) for call in calls)
    heads = "".join(f"<th scope=col{_class(form)}>{escape(title)}</th>" for title, _, form in _COLUMNS)
    details = "".join(_details(number, call) for number, call in enumerate(calls, 1))
    body = (
        f"<p>{_summary(calls)}</p><div><table><thead><tr><th scope=col>began</th>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{details}"
        if calls
        else "<p>No call of this trace has ended here yet, or its record is no longer kept.</p>"
    )
    page = (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Trace {escape(trace_id)}</title><style>{_STYLE}</style>"
        f"<main><h1>Trace <code>{escape(trace_id)}</code></h1>{body}</main></html>"
    )
    return page.encode()


def alias_of(record: bytes) -> str | None:
    """The proxy key with which the call of a record was made."""
    alias: str | None = orjson.loads(record)["properties"].get("key_alias")
    return alias


def _summary(calls: Sequence[Mapping[str, Any]]) -> str:
    first_us = min(call["received_unix_us"] for call in calls)
    return f"{len(calls)} call{'s' * (len(calls) > 1)} since {_at(first_us):%Y-%m-%d %H:%M:%S} UTC"


def _row(call: Mapping[str, Any]) -> str:
    properties = call["properties"]
    cells = "".join(f"<td{_class(form)}>{escape(_written(properties, name, form))}</td>" for _, name, form in _COLUMNS)
    is_bad = properties.get("status") not in (Status.SUCCESS, Status.CANCELLED)
    return f"<tr{' class=bad' * is_bad}><td>{_at(call['received_unix_us']):%H:%M:%S}</td>{cells}</tr>"


def _at(unix_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=unix_us)


def _written(properties: Mapping[str, Any], name: str, form: str) -> str:
    value = properties.get(name)
    if value is None:
        return UNKNOWN
    error_type = properties.get("error_type") if name == "status" else None
    return form.format(value) + (f": {error_type}" if error_type else "")


def _class(form: str) -> str:
    return "" if form == "{}" else " class=n"


def _details(number: int, call: Mapping[str, Any]) -> str:
    text = orjson.dumps(call, option=orjson.OPT_INDENT_2).decode()
    return f"<details><summary>Call {number}, everything that is known</summary><pre>{escape(text)}</pre></details>"
