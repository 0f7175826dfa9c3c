"""litellm's price map, which many people correct, as rows of the base table. It is read as data, never imported.

The map is one JSON object in litellm's package: model key → fields, in USD per token. Zero means "none" and "not
known" alike there, and some rows are in other units; what cannot be told is left out.
"""

import json
import re
import zipfile
from collections.abc import Mapping
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

Row = Mapping[str, Any]
MEMBER = "litellm/model_prices_and_context_window_backup.json"
"""Where the map lies in a wheel, and below the folder into which one was installed."""


class NotAMap(ValueError):
    """The text is no price map of litellm's."""


class OutOfRange(ValueError):
    """A rate that cannot be USD per token; the map has a few in other units."""


_LABELS = {
    "openai": "openai",
    "text-completion-openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "azure": "azure_openai",
    "azure_text": "azure_openai",
    "azure_ai": "azure_openai",
    "groq": "groq",
    "deepseek": "deepseek",
    "mistral": "mistral",
    "xai": "xai",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "fireworks_ai-embedding-models": "fireworks",
    "perplexity": "perplexity",
    "deepinfra": "deepinfra",
    "cerebras": "cerebras",
    "openrouter": "openrouter",
}
"""The package's provider → what our events call it. Providers that we cannot name are left out."""

_MODES = frozenset(
    {"chat", "completion", "responses", "embedding", "moderation", "image_generation",
     "audio_transcription", "audio_speech", "realtime"}
)  # fmt: skip

TOKEN_RATES = {
    "input": "input_cost_per_token",
    "cached": "cache_read_input_token_cost",
    "write_5m": "cache_creation_input_token_cost",
    "write_1h": "cache_creation_input_token_cost_above_1hr",
    "write_12h": "cache_creation_input_token_cost_above_12hr",
    "output": "output_cost_per_token",
    "reasoning": "output_cost_per_reasoning_token",
    "audio_in": "input_cost_per_audio_token",
    "audio_out": "output_cost_per_audio_token",
    "image_in": "input_cost_per_image_token",
    "image_out": "output_cost_per_image_token",
}
TIERS = {"_batches": "batch", "_flex": "flex", "_priority": "priority", "_ultrafast": "ultrafast"}
_ABOVE = re.compile(r"^input_cost_per_token_above_(\d+)k_tokens$")
_MAX_USD_PER_MTOK = Decimal(1000)
_MIN_USD_PER_MTOK = Decimal("0.0001")


class Converted(NamedTuple):
    """label → lower-case model → rates, and the keys of rows that were left out for a rate in another unit."""

    models: dict[str, dict[str, Row]]
    left_out: list[str]


def installed_map() -> Path | None:
    """The map of an installed litellm, which is not imported; None where there is none."""
    spec = find_spec("litellm")
    folders = (spec.submodule_search_locations if spec else None) or []
    return next((path for folder in folders if (path := Path(folder) / Path(MEMBER).name).is_file()), None)


def read_map(source: Path) -> bytes:
    """The map from its own file, from a wheel, or from a folder into which the package was installed.

    Raises OSError, KeyError (no map in the wheel) or zipfile.BadZipFile.
    """
    if source.is_dir():
        return (source / MEMBER).read_bytes()
    if source.suffix == ".json":
        return source.read_bytes()
    with zipfile.ZipFile(source) as wheel:
        return wheel.read(MEMBER)


def parse_map(raw: bytes) -> dict[str, Row]:
    """The rows as written, numbers exactly. Raises NotAMap."""
    try:
        found = json.loads(raw, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, RecursionError):
        raise NotAMap from None
    found = found if isinstance(found, dict) else {}
    rows: dict[str, Row] = {key: row for key, row in found.items() if isinstance(row, dict)}
    if not any("litellm_provider" in row for row in rows.values()):
        raise NotAMap
    return rows


def convert(rows: Mapping[str, Row]) -> Converted:
    """The map as rows of the base table. Under one name the key with the provider's prefix wins."""
    table: dict[str, dict[str, Row]] = {}
    left_out = []
    ranked: dict[tuple[str, str], int] = {}
    for key, source in rows.items():
        label = _LABELS.get(str(source.get("litellm_provider")))
        if label is None or source.get("mode") not in _MODES:
            continue
        try:
            row = _model(source)
        except OutOfRange:
            left_out.append(key)
            continue
        if row is None:
            continue
        name, rank = _name(key, str(source["litellm_provider"]))
        if name is not None and rank >= ranked.get((label, name), -1):
            ranked[label, name] = rank
            table.setdefault(label, {})[name] = row
    return Converted(table, left_out)


def _name(key: str, provider: str) -> tuple[str | None, int]:
    """The model's own name, and how sure the key is. Rows of one region, size or quality are left out."""
    prefix = provider.removesuffix("-embedding-models").replace("text-completion-", "") + "/"
    name = key.removeprefix(prefix).lower()
    if provider in ("openai", "anthropic", "gemini", "azure", "azure_text", "azure_ai", "xai") and "/" in name:
        return None, 0
    rank = 2 if key.startswith(prefix) else 1
    return name, rank - 1 if provider == "azure_ai" else rank


def _model(source: Row) -> Row | None:
    if source["mode"] == "moderation" and not _number(source, "input_cost_per_token"):
        return {"free": True}
    row = _image_card(source) if source["mode"] == "image_generation" else _card(source, "")
    if not any(Decimal(row[name]) for name in row if name != "tiers"):
        return None  # all zero or absent: the map does not know, and neither do we
    above = {int(match[1]) * 1000: match[1] for field in source if (match := _ABOVE.match(field))}
    longer = {
        str(tokens): card
        for tokens, thousands in sorted(above.items(), reverse=True)
        if (card := _complete(_card(source, f"_above_{thousands}k_tokens"), row))
    }
    multipliers = _mapping(source, "provider_specific_entry")
    extra = {
        "above": longer,
        "speeds": {"fast": _text(by_speed)} if (by_speed := _number(multipliers, "fast")) else {},
        "regions": {"us": _text(by_region)} if (by_region := _number(multipliers, "us")) else {},
    }
    return {**row, **{name: value for name, value in extra.items() if value}}


def _card(source: Row, above: str) -> dict[str, Any]:
    """Standard rates with the tiers beside them; searches and calls cost the same in each."""
    calls = _calls(source)
    standard = _rates(source, above)
    tiers = {
        name: {**_complete(rates, standard), **calls}
        for suffix, name in TIERS.items()
        if "input" in (rates := _rates(source, above + suffix))
    }
    card: dict[str, Any] = {**standard, **calls}
    return {**card, "tiers": tiers} if tiers else card


def _image_card(source: Row) -> dict[str, Any]:
    """By the tokens of an image, else for each one; "tokens" without an image's are images or steps in disguise."""
    card = _card(source, "")
    if "image_out" in card:
        return card
    has_tokens = "input" in card or "output" in card
    each = _number(source, "output_cost_per_image") or _number(source, "input_cost_per_image")  # two names for the same
    return {"image": _text(each)} if each and not has_tokens else {}


def _rates(source: Row, suffix: str) -> dict[str, str]:
    found = {name: _per_mtok(rate) for name, field in TOKEN_RATES.items() if (rate := _number(source, field + suffix))}
    if "image_out" in found:
        found.setdefault("output", found["image_out"])  # a model of images alone bills all its output as images
    if not suffix:
        found.update(_only_by_time(source, found))
    if source["litellm_provider"] == "gemini" and "input" in found:
        found.setdefault("audio_in", found["input"])  # Google names an audio rate only where it differs
    return found


def _only_by_time(source: Row, found: Mapping[str, str]) -> dict[str, str]:
    """The rate per second of input audio, of models without a rate per token (their output seconds repeat it)."""
    rate = _number(source, "input_cost_per_second")
    if not rate or "input" in found or source["mode"] != "audio_transcription":
        return {}
    return {"audio_in_s": _text(rate)}


def _complete(rates: dict[str, Any], standard: Row) -> dict[str, Any]:
    """What lists its cache writes of the default time to live has the longer ones in the same proportion."""
    for longer in ("write_1h", "write_12h"):
        if "write_5m" in rates and "write_5m" in standard and longer in standard and longer not in rates:
            factor = Decimal(rates["write_5m"]) / Decimal(standard["write_5m"])
            rates[longer] = _text(Decimal(standard[longer]) * factor)
    return rates


def _calls(source: Row) -> dict[str, str]:
    """The dearest search context, since a reply does not say which it was."""
    searches = _mapping(source, "search_context_cost_per_query")
    found = {
        "search": max(filter(None, (_number(searches, size) for size in searches)), default=None),
        "call": _number(source, "input_cost_per_request"),
    }
    return {name: _text(value) for name, value in found.items() if value}


def _number(source: Row, field: str) -> Decimal | None:
    """A rate or factor; None where there is none, and for 0, which the map writes for "none" and "not known" alike."""
    value = source.get(field)
    return value if isinstance(value, Decimal) and value > 0 else None


def _mapping(source: Row, field: str) -> Row:
    value = source.get(field)
    return value if isinstance(value, dict) else {}


def _per_mtok(rate: Decimal) -> str:
    per_mtok = rate * 1_000_000
    if not _MIN_USD_PER_MTOK <= per_mtok <= _MAX_USD_PER_MTOK:
        raise OutOfRange
    return _text(per_mtok)


def _text(value: Decimal) -> str:
    """Plain digits: no exponent, no trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
