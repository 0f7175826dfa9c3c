"""The page behind `trace_url`: the calls of one trace, from their records, which hold no content."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import orjson

_COLUMNS = (
    ("endpoint", "endpoint"),
    ("model", "model"),
    ("prompt_version_id", "prompt version"),
    ("status", "status"),
    ("error_type", "error"),
    ("ttft_ms", "first token, ms"),
    ("latency_ms", "total, ms"),
    ("input_tokens", "input tokens"),
    ("output_tokens", "output tokens"),
    ("estimated_cost_usd", "cost, USD"),
)
PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem}"
    "table{border-collapse:collapse}td,th{padding:.3rem .8rem;text-align:left;border-bottom:1px solid #8884}"
    "details{margin:.5rem 0}pre{overflow:auto}"
)


def render(trace_id: str, records: Sequence[bytes]) -> bytes:
    """One HTML page; every value is escaped. `records` are JSON objects in the order of the calls' ends."""
    calls = [orjson.loads(record) for record in records]
    rows = "".join(_row(call["properties"]) for call in calls)
    heads = "".join(f"<th scope=col>{escape(title)}</th>" for _, title in _COLUMNS)
    details = "".join(_details(number, call) for number, call in enumerate(calls, 1))
    body = (
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{details}"
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


def _row(properties: Mapping[str, Any]) -> str:
    cells = (escape(str(properties.get(name, "–"))) for name, _ in _COLUMNS)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _details(number: int, call: Mapping[str, Any]) -> str:
    text = orjson.dumps(call, option=orjson.OPT_INDENT_2).decode()
    return f"<details><summary>Call {number}, everything that is known</summary><pre>{escape(text)}</pre></details>"
