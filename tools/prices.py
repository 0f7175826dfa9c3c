"""Make the base price table out of a pinned package's local data, and check it in with its provenance.

litellm keeps a map of list prices inside its wheel, in USD per token, that many people correct. It is read as data:
the package is not installed and never imported. The wheel is pinned by its hash, the map by its own.

Run from the repository's root: python tools/prices.py [--from PATH] [--date YYYY-MM-DD]
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

VERSION = "1.109.1"
WHEEL = f"litellm-{VERSION}-cp310-abi3-manylinux_2_28_x86_64.whl"
WHEEL_SHA256 = "1c8b4dd671fa0cd0850aa751678704ff77e595fb1e6085b2dc3be39ee19bdaaf"
MEMBER = "litellm/model_prices_and_context_window_backup.json"
MAP_SHA256 = "8f8060d8ce7a40c91b995c74d6a27657543d49e3c1c53430dabd556f244392c6"
TAKEN_ON = "2026-11-23"
"""The day on which the pinned version was chosen; with it the same pin gives the same file."""
TARGET = Path("proxy/data/prices.json")

Row = Mapping[str, Any]


class OutOfRange(ValueError):
    """A rate that cannot be USD per token; the map has a few in other units."""


LABELS = {
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

MODES = frozenset(
    {"chat", "completion", "responses", "embedding", "moderation", "image_generation",
     "audio_transcription", "audio_speech", "realtime"}
)  # fmt: skip

TOKEN_RATES = {
    "input": "input_cost_per_token",
    "cached": "cache_read_input_token_cost",
    "write_5m": "cache_creation_input_token_cost",
    "write_1h": "cache_creation_input_token_cost_above_1hr",
    "output": "output_cost_per_token",
    "reasoning": "output_cost_per_reasoning_token",
    "audio_in": "input_cost_per_audio_token",
    "audio_out": "output_cost_per_audio_token",
    "image_in": "input_cost_per_image_token",
    "image_out": "output_cost_per_image_token",
}
TIERS = {"_batches": "batch", "_flex": "flex", "_priority": "priority", "_ultrafast": "ultrafast"}
ABOVE = re.compile(r"^input_cost_per_token_above_(\d+)k_tokens$")
MAX_USD_PER_MTOK = Decimal(1000)
MIN_USD_PER_MTOK = Decimal("0.0001")


def main(argv: list[str] | None = None) -> int:
    """Write the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", type=Path, metavar="PATH", help="a wheel, or a folder with litellm/")
    parser.add_argument("--date", default=TAKEN_ON, help="the day to record (default: %(default)s)")
    args = parser.parse_args(argv)
    raw = read_map(args.source) if args.source else _downloaded_map()
    found = hashlib.sha256(raw).hexdigest()
    if found != MAP_SHA256:
        print(f"the price map's SHA-256 is {found}, not {MAP_SHA256}", file=sys.stderr)
        return 1
    table = convert(json.loads(raw, parse_float=Decimal, parse_int=Decimal))
    text = render(table, args.date)
    TARGET.write_text(text)
    count = sum(len(models) for models in table.values())
    print(f"{TARGET}: {count:,} models of {len(table)} providers, {len(text):,} bytes")
    return 0


def read_map(source: Path) -> bytes:
    """The price map of a wheel, or of a folder into which the package was installed."""
    if source.is_dir():
        return (source / MEMBER).read_bytes()
    with zipfile.ZipFile(source) as wheel:
        return wheel.read(MEMBER)


def _downloaded_map() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(f"litellm=={VERSION} --hash=sha256:{WHEEL_SHA256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary=:all:", "--platform=manylinux_2_28_x86_64", "--python-version=3.11"]
        command += ["--require-hashes", f"--requirement={requirements}", f"--dest={folder}"]
        subprocess.run(command, check=True)
        return read_map(Path(folder) / WHEEL)


def render(table: Mapping[str, Mapping[str, Row]], day: str) -> str:
    """The file: its provenance, then one line for each model, so that a change is a readable diff."""
    provenance = {
        "package": "litellm",
        "version": VERSION,
        "licence": "MIT",
        "file": MEMBER,
        "sha256": MAP_SHA256,
        "wheel_sha256": WHEEL_SHA256,
        "taken_on": day,
        "made_by": "make prices",
        "unit": "USD per million tokens; search and call: USD each; audio_in_s: USD per second",
    }
    blocks = []
    for label, models in sorted(table.items()):
        rows = ",\n".join(f"{json.dumps(name)}:{_compact(row)}" for name, row in sorted(models.items()))
        blocks.append(f"{json.dumps(label)}:{{\n{rows}\n}}")
    return f'{{"provenance":{json.dumps(provenance, indent=1)},\n"models":{{\n' + ",\n".join(blocks) + "\n}}\n"


def _compact(row: Row) -> str:
    return json.dumps(row, separators=(",", ":"))


def convert(rows: Mapping[str, Row]) -> dict[str, dict[str, Row]]:
    """The map as label → lower-case model → rates. Under one name the key with the provider's prefix wins."""
    table: dict[str, dict[str, Row]] = {}
    ranked: dict[tuple[str, str], int] = {}
    for key, source in rows.items():
        label = LABELS.get(str(source.get("litellm_provider")))
        if label is None or source.get("mode") not in MODES:
            continue
        try:
            row = _model(source)
        except OutOfRange:
            print(f"left out, a rate is out of range: {key}", file=sys.stderr)
            continue
        if row is None:
            continue
        name, rank = _name(key, str(source["litellm_provider"]))
        if name is not None and rank >= ranked.get((label, name), -1):
            ranked[label, name] = rank
            table.setdefault(label, {})[name] = row
    return table


def _name(key: str, provider: str) -> tuple[str | None, int]:
    """The model's own name, and how sure the key is. Rows of one region, size or quality are left out."""
    prefix = provider.removesuffix("-embedding-models").replace("text-completion-", "") + "/"
    name = key.removeprefix(prefix).lower()
    if provider in ("openai", "anthropic", "gemini", "azure", "azure_text", "azure_ai") and "/" in name:
        return None, 0
    rank = 2 if key.startswith(prefix) else 1
    return name, rank - 1 if provider == "azure_ai" else rank


def _model(source: Row) -> Row | None:
    if source["mode"] == "moderation" and not source.get("input_cost_per_token"):
        return {"free": True}
    row = _card(source, "")
    if not any(Decimal(row[name]) for name in row if name != "tiers"):
        return None  # all zero or absent: the map does not know, and neither do we
    above = {int(match[1]) * 1000: match[1] for field in source if (match := ABOVE.match(field))}
    longer = {
        str(tokens): card
        for tokens, thousands in sorted(above.items(), reverse=True)
        if (card := _card(source, f"_above_{thousands}k_tokens"))
    }
    multipliers = source.get("provider_specific_entry") or {}
    extra = {
        "above": longer,
        "speeds": {"fast": _text(multipliers["fast"])} if "fast" in multipliers else {},
        "regions": {"us": _text(multipliers["us"])} if "us" in multipliers else {},
    }
    return {**row, **{name: value for name, value in extra.items() if value}}


def _card(source: Row, above: str) -> dict[str, Any]:
    """Standard rates with the tiers beside them; searches and calls cost the same in each."""
    calls = _calls(source)
    standard = _rates(source, above)
    tiers = {name: rates for suffix, name in TIERS.items() if "input" in (rates := _rates(source, above + suffix))}
    for rates in tiers.values():
        _complete(rates, standard)
        rates.update(calls)
    card: dict[str, Any] = {**standard, **calls}
    return {**card, "tiers": tiers} if tiers else card


def _rates(source: Row, suffix: str) -> dict[str, str]:
    found = {}
    for name, field in TOKEN_RATES.items():
        rate = source.get(field + suffix)
        if rate:  # the map writes 0 for "none" and for "not known" alike
            found[name] = _per_mtok(rate)
    if "image_out" in found:
        found.setdefault("output", found["image_out"])  # a model of images alone bills all its output as images
    if not suffix:
        found.update(_only_by_time(source, found))
    if source["litellm_provider"] == "gemini" and "input" in found:
        found.setdefault("audio_in", found["input"])  # Google names an audio rate only where it differs
    return found


def _only_by_time(source: Row, found: Mapping[str, str]) -> dict[str, str]:
    """The rate per second of input audio, of models without a rate per token (their output seconds repeat it)."""
    rate = source.get("input_cost_per_second")
    if not rate or "input" in found or source["mode"] != "audio_transcription":
        return {}
    return {"audio_in_s": _text(rate)}


def _complete(rates: dict[str, str], standard: Mapping[str, str]) -> None:
    """A tier that lists its 5-minute cache writes has the 1-hour ones in the same proportion."""
    if "write_5m" in rates and "write_1h" in standard and "write_1h" not in rates:
        factor = Decimal(rates["write_5m"]) / Decimal(standard["write_5m"])
        rates["write_1h"] = _text(Decimal(standard["write_1h"]) * factor)


def _calls(source: Row) -> dict[str, str]:
    """The dearest search context, since a reply does not say which it was."""
    searches = source.get("search_context_cost_per_query") or {}
    found = {"search": max(searches.values(), default=None), "call": source.get("input_cost_per_request")}
    return {name: _text(value) for name, value in found.items() if value}


def _per_mtok(rate: Decimal) -> str:
    per_mtok = rate * 1_000_000
    if per_mtok and not MIN_USD_PER_MTOK <= per_mtok <= MAX_USD_PER_MTOK:
        raise OutOfRange
    return _text(per_mtok)


def _text(value: Decimal) -> str:
    """Plain digits: no exponent, no trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


if __name__ == "__main__":
    sys.exit(main())
