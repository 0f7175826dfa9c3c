"""The few files that pages ask for. Nothing else is ever read for a reader."""

from functools import cache
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
TYPES = {"pages.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
PREFIX = "/ui/static/"


@cache
def content(name: str) -> bytes:
    """Of one of TYPES."""
    assert name in TYPES
    return (FOLDER / name).read_bytes()


@cache
def path_of(name: str) -> str:
    """The address of a file, which changes with its content, so that browsers may keep it for ever."""
    return f"{PREFIX}{sha256(content(name)).hexdigest()[:12]}/{name}"
