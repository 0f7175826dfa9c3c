"""`promptlane meter FILE --api NAME [--json]`: what the meter makes of a recorded reply."""

import argparse
import gzip
import sys
import zlib
from pathlib import Path

import orjson

from proxy.domain.meter import Reading, output_category
from proxy.providers.codecs import CODECS, decoder_for

_ALIASES = {"anthropic": "messages", "azure": "chat"}
_CONTENT_TYPES = {".sse": "text/event-stream", ".json": "application/json"}
_CHUNK_BYTES = 64 << 10


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "meter",
        help="show what the meter makes of a recorded reply",
        description="Read a recorded reply body and print its tokens, finish reason, model and end.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a .sse or .json body; .gz is unpacked")
    parser.add_argument("--api", required=True, choices=sorted([*CODECS, *_ALIASES]), help="the wire dialect")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the reading. 2: the file cannot be read as a recorded reply."""
    path: Path = args.file
    plain_name = path.name.removesuffix(".gz")
    content_type = _CONTENT_TYPES.get(Path(plain_name).suffix)
    if content_type is None:
        return _misused(f"{path}: expected a file that ends in .sse or .json, or one of these with .gz")
    decoder = decoder_for(_ALIASES.get(args.api, args.api), content_type, 200)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as body:
            while chunk := body.read(_CHUNK_BYTES):
                decoder.feed(chunk, 0)
    except (OSError, EOFError, zlib.error) as error:
        return _misused(f"{path}: cannot be read ({type(error).__name__})")
    reading = decoder.finish()
    if args.json:
        print(orjson.dumps(summary(reading)).decode())
    else:
        _print_table(reading)
    return 0


def summary(reading: Reading) -> dict[str, str | int | None]:
    """The facts of a reading under the names that recorded samples are checked by; None where unknown."""
    usage = reading.usage
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_creation_input_tokens": usage.cache_creation_input_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "finish_reason": reading.finish_reason,
        "model": reading.model,
        "tool_calls": reading.tool_call_count,
        "usage_source": reading.usage_source.value,
        "stream_end": reading.stream_end.value,
    }


def _print_table(reading: Reading) -> None:
    usage = reading.usage
    rows: dict[str, object] = {
        **summary(reading),
        "tool_names": ", ".join(reading.tool_names) or None,
        "output_category": output_category(reading, wants_json=False).value,
        "error_code": reading.error_code,
        "service_tier": usage.service_tier,
        "web_search_calls": usage.web_search_calls,
        "provider_cost_usd": usage.provider_cost_usd,
        "malformed_events": reading.malformed_events or None,
    }
    optional = list(rows)[10:]
    for name, value in rows.items():
        if value is not None or name not in optional:
            print(f"{name:<28} {'unknown' if value is None else value}")


def _misused(message: str) -> int:
    print(f"promptlane meter: {message}", file=sys.stderr)
    return 2
