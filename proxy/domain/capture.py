"""Whether the content of a call is kept, and how much of it. Off unless configuration asks for it.

A rule may stand for all calls, for a route and for a key. What a route or a key says counts before what is said of
all; where both speak, the one that keeps less does. A caller's header can only leave content out, unless
configuration lets it ask for content too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from proxy.domain.fields import Fields
from proxy.domain.globs import matches
from proxy.domain.sampling import is_sampled

_MIB = 1 << 20
_DAY_S = 86_400.0
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
HEADER = "x-llm-capture-content"


class Level(StrEnum):
    """What is kept: nothing, what tools were asked and answered, or everything."""

    NONE = "none"
    TOOLS = "tools"
    FULL = "full"


_ORDER = tuple(Level)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureRule:
    """`sample` is a share of traces, 0 to 1; `max_bytes` bounds the request and the reply, each."""

    level: Level = Level.NONE
    sample: float = 1.0
    on_error_only: bool = False
    max_bytes: int = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturePolicy:
    """All that configuration says of it."""

    rule: CaptureRule = CaptureRule()
    routes: tuple[tuple[str, CaptureRule | None], ...] = ()
    """By the pattern of each route, in order of precedence."""
    keys: Mapping[str, CaptureRule] = field(default_factory=dict)
    """By a proxy key's alias."""
    header_widens: bool = False
    redact: tuple[str, ...] = ()
    """Names of built-in rules."""
    patterns: Mapping[str, str] = field(default_factory=dict)
    """The operator's own, by name."""
    store_max_bytes: int = 1024 * _MIB
    store_max_age_s: float = 7 * _DAY_S

    @property
    def is_wanted(self) -> bool:
        """Some call's content may be kept."""
        rules = [self.rule, *self.keys.values(), *(rule for _, rule in self.routes if rule is not None)]
        return self.header_widens or any(rule.level is not Level.NONE for rule in rules)


RAW_SHARE = 8
"""A stream's events are so many times as long as what they say, roughly."""


class Tap:
    """What of a running call is held back for keeping: references to the bytes of both sides, within bounds.

    Of several attempts, those of the last one: `request` is the body as its provider was sent it, decoded.
    """

    def __init__(self, rule: CaptureRule, *, with_request: bool = True, with_reply: bool = True) -> None:
        self.rule = rule
        self.with_request = with_request
        self.request: bytes | None = None
        self.pieces: list[bytes] = []
        self._room = self._limit = RAW_SHARE * rule.max_bytes if with_reply else 0

    def begin(self) -> None:
        """Another attempt's reply begins."""
        self.pieces, self._room = [], self._limit

    def feed(self, piece: bytes) -> None:
        """The next bytes, decoded; what is beyond the bound is let go."""
        if self._room > 0:
            self.pieces.append(piece)
            self._room -= len(piece)


def tap_of(
    policy: CapturePolicy, headers: Fields, *, model: str | None, key_alias: str | None, trace_id: str
) -> Tap | None:
    """What is to be held of this call; None where nothing is."""
    rule = _heeding_caller(policy, _rule_of(policy, model, key_alias), headers)
    leaves_out_request = _says_true(headers, "helicone-omit-request")
    leaves_out_reply = _says_true(headers, "helicone-omit-response")
    if rule.level is Level.NONE or (leaves_out_request and leaves_out_reply):
        return None
    if not is_sampled(trace_id, rule.sample):
        return None
    return Tap(rule, with_request=not leaves_out_request, with_reply=not leaves_out_reply)


def _rule_of(policy: CapturePolicy, model: str | None, key_alias: str | None) -> CaptureRule:
    of_route = next((rule for pattern, rule in policy.routes if model is not None and matches(pattern, model)), None)
    of_key = policy.keys.get(key_alias) if key_alias is not None else None
    named = [rule for rule in (of_route, of_key) if rule is not None]
    return min(named, key=lambda rule: _ORDER.index(rule.level), default=policy.rule)


def _heeding_caller(policy: CapturePolicy, rule: CaptureRule, headers: Fields) -> CaptureRule:
    """A word that is neither yes nor no is taken for a no."""
    wish = headers.first(HEADER)
    if _says_true(headers, "x-litellm-enable-message-redaction"):
        return replace(rule, level=Level.NONE)
    if wish is None:
        return rule
    if wish.strip().lower() not in _TRUE:
        return replace(rule, level=Level.NONE)
    return replace(rule, level=Level.FULL, sample=1.0, on_error_only=False) if policy.header_widens else rule


def _says_true(headers: Fields, name: str) -> bool:
    """The header is there, and does not say no."""
    value = headers.first(name)
    return value is not None and value.strip().lower() not in _FALSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What is handed over of an ended call. `request` is None where it is left out or too large to hand over."""

    exchange_id: str
    trace_id: str
    distinct_id: str
    ended_unix_us: int
    level: Level
    max_bytes: int
    request: bytes | None = field(repr=False)
    reply: Sequence[bytes] = field(repr=False)
