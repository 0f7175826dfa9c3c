"""What is asked of the pages' process, and what it answers: plain values that go through a pipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proxy.domain.experiments import Experiment

HTML = "text/html; charset=utf-8"
CSV = "text/csv; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFacts:
    """What configuration says of a managed prompt."""

    name: str
    flag: str | None = None
    """The key of its rollout."""
    shares: Mapping[str, float] | None = None
    """Percent by variant, of a split that is configured here; None: PostHog's flag says."""
    variants: Mapping[str, str] = field(default_factory=dict)
    """Version by variant, control first."""
    experiment: Experiment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who looks. `key_alias` is given where a proxy key looks at its own calls, which is all that it may see."""

    is_admin: bool
    key_alias: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the worker knows of itself and of its configuration."""

    facts: Sequence[tuple[str, str]] = ()
    """(what, value)."""
    problems: Sequence[str] = ()
    """As `/readyz` has them."""
    prompts: Sequence[PromptFacts] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """One page. `path` is decoded, `query` is not."""

    path: str
    query: str
    reader: Reader
    form_token: str = field(default="", repr=False)
    """For the forms of the page; "" where the reader has no session."""
    about: About = field(default_factory=About)
    """What only the worker knows; see `About`."""
    form: Mapping[str, str] | None = field(default=None, repr=False)
    """The members of a form that was sent; None for a page that is only looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReply:
    """`location` leads elsewhere within the pages; `file_name` makes the body a download."""

    status: int = 200
    content_type: str = HTML
    body: bytes = field(default=b"", repr=False)
    location: str | None = None
    file_name: str | None = None
