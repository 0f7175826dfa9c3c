"""Make the base price table out of a pinned package's local data, and check it in with its provenance.

litellm keeps a map of list prices inside its wheel, in USD per token, that many people correct. It is read as data:
the package is not installed and never imported. The wheel is pinned by its hash, the map by its own.

Run from the repository's root: python -m tools.prices [--from PATH] [--date YYYY-MM-DD]
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from proxy.config.litellm_map import MEMBER, Row, convert, parse_map, read_map

VERSION = "1.109.1"
WHEEL = f"litellm-{VERSION}-cp310-abi3-manylinux_2_28_x86_64.whl"
WHEEL_SHA256 = "1c8b4dd671fa0cd0850aa751678704ff77e595fb1e6085b2dc3be39ee19bdaaf"
MAP_SHA256 = "8f8060d8ce7a40c91b995c74d6a27657543d49e3c1c53430dabd556f244392c6"
TAKEN_ON = "2026-11-23"
"""The day on which the pinned version was chosen; with it the same pin gives the same file."""
TARGET = Path("proxy/data/prices.json")


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
    table, left_out = convert(parse_map(raw))
    for key in left_out:
        print(f"left out, a rate is out of range: {key}", file=sys.stderr)
    text = render(table, args.date)
    TARGET.write_text(text)
    count = sum(len(models) for models in table.values())
    print(f"{TARGET}: {count:,} models of {len(table)} providers, {len(text):,} bytes")
    return 0


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
        "unit": "USD per million tokens; search, call and image: USD each; audio_in_s: USD per second",
    }
    blocks = []
    for label, models in sorted(table.items()):
        rows = ",\n".join(f"{json.dumps(name)}:{_compact(row)}" for name, row in sorted(models.items()))
        blocks.append(f"{json.dumps(label)}:{{\n{rows}\n}}")
    return f'{{"provenance":{json.dumps(provenance, indent=1)},\n"models":{{\n' + ",\n".join(blocks) + "\n}}\n"


def _compact(row: Row) -> str:
    return json.dumps(row, separators=(",", ":"))


if __name__ == "__main__":
    sys.exit(main())
