"""The recorded replies: this repository's golden set, and the shared samples where they are at hand."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson

_ROOT = Path(__file__).parents[2]
GOLDEN = _ROOT / "tests" / "golden" / "wire"
SHARED = Path(os.environ.get("PROMPTLANE_WIRE_SAMPLES", _ROOT.parent / "shared" / "reference" / "wire"))


@dataclass(frozen=True, slots=True)
class Sample:
    """One recorded reply; `expected` is what a meter must make of it."""

    name: str
    body: bytes
    http_status: int
    content_type: str
    api: str
    is_stream: bool
    expected: dict[str, object]


@cache
def corpus() -> dict[str, Sample]:
    """Every sample by name; where both sets have a name, this repository's stands."""
    return {found.name: found for folder in (SHARED, GOLDEN) if folder.is_dir() for found in _read(folder)}


def sample(name: str) -> Sample:
    return corpus()[name]


def _read(folder: Path) -> list[Sample]:
    found = []
    for sidecar in sorted(folder.rglob("*.expected.json")):
        expected = orjson.loads(sidecar.read_bytes())
        name = sidecar.name.removesuffix(".expected.json")
        body = (sidecar.parent / expected["file"]).read_bytes()
        found.append(
            Sample(
                name,
                body,
                int(expected.get("http_status", 200)),
                str(expected.get("content_type", "application/octet-stream")),
                str(expected["api"]),
                bool(expected.get("stream")),
                expected,
            )
        )
    return found
