"""What is asked of the pages' process, and what it answers: plain values that go through a pipe."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HTML = "text/html; charset=utf-8"
CSV = "text/csv; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who looks. `key_alias` is given where a proxy key looks at its own calls, which is all that it may see."""

    is_admin: bool
    key_alias: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """One page. `path` is decoded, `query` is not."""

    path: str
    query: str
    reader: Reader
    form_token: str = field(default="", repr=False)
    """For the forms of the page; "" where the reader has no session."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What only the worker knows: see `health`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReply:
    """`location` leads elsewhere within the pages; `file_name` makes the body a download."""

    status: int = 200
    content_type: str = HTML
    body: bytes = field(default=b"", repr=False)
    location: str | None = None
    file_name: str | None = None
