"""Whose trace a request belongs to, when nobody says: keys and values of what is remembered for that.

After each reply it is remembered under several keys which trace it was of: the id of the response, the ids of the tool
calls in it, and the digest of the conversation so far. A later request that names one of these goes on with the trace.
Three rules keep strangers apart:

- every key is bound to the caller's proxy key, or else to its credential, and a conversation's digest to the user, too;
- what two traces have both had is nobody's from then on: `Hello!` → `How can I help?`, or an id that a server counts;
- one reply is gone on from in a few ways at most, so that an example which an app puts before each of its requests does
  not draw them all into the trace in which it was made.
"""

from dataclasses import dataclass, field, replace
from hashlib import blake2b
from struct import Struct
from urllib.parse import unquote_plus
from uuid import UUID

from proxy.domain.conversation import Conversation, ToolResult
from proxy.domain.credentials import PROXY_KEY_HEADER, places_of_keys
from proxy.domain.fields import Fields
from proxy.domain.identity import VirtualKey
from proxy.domain.paths import query_name
from proxy.domain.privacy import purpose_key
from proxy.domain.tool_calls import ToolCall, is_drawn
from proxy.domain.values import value_class

KEY_BYTES = 16
MOST_FOLLOWERS = 3
"""How many different requests may go on from one reply by the looks of it: a conversation, and where it forks.

Of strangers, of whom nobody knows who they are and who have nothing in common but what was said, the first one may.
"""
REPEAT_WINDOW_MS = 120_000
"""A request that is the same as one of the same user not longer ago is a repeat of it."""
NOBODYS = b"\0"
"""In place of a trail: two traces have had the key."""

_TRAIL = Struct("<BHB4s")
_REQUEST = Struct("<QH")
_STEP = Struct("<QHBBB16s")
_TRACE_ID_LIMIT_BYTES = 64
_NAME_LIMIT_BYTES = 96 - _STEP.size
_VERSION = 1
_MOST_STEPS = 65_535


@value_class
class Trail:
    """A trace, and how far it had come: rounds of tool calls so far, and in how many ways it went on from here."""

    trace_id: str
    step: int = 0
    followers: int = 0
    last: bytes = field(default=bytes(4), repr=False)
    """Which request did so last; one that is sent again is no other way."""

    def packed(self) -> bytes | None:
        """None for a trace id that is too long to be remembered."""
        trace_id = self.trace_id.encode("utf-8", "replace")
        if len(trace_id) > _TRACE_ID_LIMIT_BYTES:
            return None
        step = self.step if self.step < _MOST_STEPS else _MOST_STEPS
        return _TRAIL.pack(_VERSION, step, self.followers if self.followers < 255 else 255, self.last) + trace_id

    def followed(self, asked: bytes, *, by_stranger: bool = False) -> "Trail | None":
        """With this request as a follower; None where that would be one too many."""
        last = asked[:4]
        if by_stranger:
            return replace(self, followers=MOST_FOLLOWERS, last=last) if self.followers == 0 else None
        followers = self.followers + (last != self.last)
        return replace(self, followers=followers, last=last) if followers <= MOST_FOLLOWERS else None


def trail_of(value: bytes | None) -> Trail | None:
    """What was remembered; None where there is nothing, or what is nobody's."""
    if value is None or len(value) <= _TRAIL.size or value[0] != _VERSION:
        return None
    _, step, followers, last = _TRAIL.unpack_from(value)
    return Trail(value[_TRAIL.size :].decode("utf-8", "replace"), step, followers, last)


def claimed(known: bytes | None, packed: bytes | None) -> bytes:
    """What a key leads to once this trail has had it: to its trace, unless another one has had the key, too."""
    if packed is None or (known is not None and not _is_same_trace(known, packed)):
        return NOBODYS
    return packed


def _is_same_trace(packed: bytes, other: bytes) -> bool:
    return packed[:1] == other[:1] and packed[_TRAIL.size :] == other[_TRAIL.size :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A tool call that waits for its result. Times are Unix milliseconds; names over 67 bytes are left out."""

    at_unix_ms: int
    """When the reply that asks for it ended."""
    step: int
    retries: int
    """How often the same tool was called with the same arguments before, in the trace."""
    ordinal: int
    """Which call of the reply, from 0."""
    attempt: int
    exchange_id: str
    name: str

    def packed(self) -> bytes:
        """At most 96 bytes."""
        name = self.name.encode("utf-8", "replace")
        head = _STEP.pack(
            self.at_unix_ms,
            min(self.step, _MOST_STEPS),
            min(self.retries, 255),
            self.ordinal,
            min(self.attempt, 255),
            bytes.fromhex(self.exchange_id.replace("-", "")),
        )
        return head + (name if len(name) <= _NAME_LIMIT_BYTES else b"")


def asked_of(value: bytes | None) -> Asked | None:
    """What was remembered of a tool call."""
    if value is None or len(value) < _STEP.size:
        return None
    at_unix_ms, step, retries, ordinal, attempt, exchange_id = _STEP.unpack_from(value)
    return Asked(
        at_unix_ms=at_unix_ms,
        step=step,
        retries=retries,
        ordinal=ordinal,
        attempt=attempt,
        exchange_id=str(UUID(bytes=exchange_id)),
        name=value[_STEP.size :].decode("utf-8", "replace"),
    )


def packed_request(at_unix_ms: int, repeats: int) -> bytes:
    """A request that may be repeated."""
    return _REQUEST.pack(at_unix_ms, repeats if repeats < _MOST_STEPS else _MOST_STEPS)


def repeats_before(value: bytes | None, now_unix_ms: int) -> int:
    """How often the request was seen, each time within the window of the one before; 0 for the first."""
    if value is None or len(value) != _REQUEST.size:
        return 0
    at_unix_ms, repeats = _REQUEST.unpack(value)
    return int(repeats) + 1 if abs(now_unix_ms - at_unix_ms) <= REPEAT_WINDOW_MS else 0


class Keys:
    """The keys of one caller. `person` is the distinct id, "" for nobody in particular."""

    __slots__ = ("_begun", "_person", "secret")

    def __init__(self, tenant: bytes, person: str, secret: bytes) -> None:
        self.secret = secret
        of_tenant = blake2b(tenant, digest_size=KEY_BYTES, key=purpose_key(secret, "stitching")).digest()
        self._begun = blake2b(digest_size=KEY_BYTES, key=of_tenant)
        self._person = person.encode("utf-8", "replace")

    def response(self, response_id: str) -> bytes:
        """Of a stored response, or of a conversation that the provider keeps."""
        return self._of(b"response", response_id.encode("utf-8", "replace"))

    def tool_call(self, call_id: str) -> bytes:
        """Of the trace in which a tool was called."""
        return self._of(b"tool call", call_id.encode("utf-8", "replace"))

    def asked(self, call_id: str, digest: bytes | None) -> bytes:
        """Of the call itself; an id that others have too is told apart by the conversation up to its reply."""
        bound = b"" if is_drawn(call_id) else self._person + (digest or b"")
        return self._of(b"asked", call_id.encode("utf-8", "replace"), bound)

    def reported(self, exchange_id: str, ordinal: int) -> bytes:
        """Of the fact that a call's step was reported."""
        return self._of(b"reported", exchange_id.encode(), bytes([ordinal]))

    def same_call(self, trace_id: str, call: ToolCall) -> bytes:
        """Of all calls of one tool with the same arguments in a trace."""
        return self._of(b"same call", trace_id.encode("utf-8", "replace"), call.name.encode(), call.arguments)

    def conversation(self, digest: bytes) -> bytes:
        """Of a conversation up to a reply."""
        return self._of(b"conversation", self._person, digest)

    def request(self, digest: bytes, model: str) -> bytes:
        """Of one request."""
        return self._of(b"request", self._person, model.encode("utf-8", "replace"), digest)

    def trace_of_request(self, digest: bytes, model: str) -> bytes:
        """Of the trace in which it was made."""
        return self._of(b"trace of request", self._person, model.encode("utf-8", "replace"), digest)

    def _of(self, *parts: bytes) -> bytes:
        hashed = self._begun.copy()
        hashed.update(b"\0".join(parts))
        return hashed.digest()


def tenant_of(headers: Fields, raw_query: str, key: VirtualKey | None) -> bytes:
    """Who pays: the proxy key's alias, or the credentials that pass through. To be hashed, and not to be kept."""
    if key is not None:
        return b"\0key\0%b\0" % key.alias.encode("utf-8", "replace")
    places = places_of_keys(headers.names)
    given = [headers.values[position].strip() for place, position in places if place != PROXY_KEY_HEADER]
    if raw_query:
        pairs = (pair.partition("=") for pair in raw_query.split("&"))
        given += [unquote_plus(value) for name, _, value in pairs if query_name(name) == "key"]
    return b"\0credential\0%b\0" % "\0".join(sorted(given)).encode("utf-8", "replace")


@dataclass(slots=True, kw_only=True)
class Thread:
    """A call as part of a conversation."""

    keys: Keys = field(repr=False)
    conversation: Conversation
    step: int = 0
    """Rounds of tool calls before this call."""
    repeat_count: int | None = None
    """None where nobody knows whose request it is."""
    steps: tuple[tuple[ToolResult, Asked], ...] = ()
    """Tool calls whose results this request brings."""
