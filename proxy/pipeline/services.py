"""What one request works with: the values of its configuration, the outside things, and what goes in and out."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from proxy.domain.capture import CapturePolicy
from proxy.domain.credentials import Keyring
from proxy.domain.endpoints import Endpoint
from proxy.domain.events import EventPolicy
from proxy.domain.exchange import Exchange
from proxy.domain.fields import Fields
from proxy.domain.fingerprints import PromptHashing
from proxy.domain.identity import IdentityPolicy
from proxy.domain.limits import Limits
from proxy.domain.overrides import NO_OVERRIDES, Overrides
from proxy.domain.paths import RequestTarget
from proxy.domain.policy import OutcomePolicy
from proxy.domain.price_book import PriceBook
from proxy.domain.prompt_edit import PromptEdit
from proxy.domain.prompt_versions import NO_DEMAND, VersionPolicy
from proxy.domain.prompts import NO_PROMPTS, PromptBook
from proxy.domain.request_facts import RequestFacts
from proxy.domain.routing import RoutingTable
from proxy.domain.values import value_class
from proxy.pipeline.ports import (
    Checker,
    Clock,
    ContentKeeper,
    Estimator,
    Flags,
    Journal,
    SharedMemory,
    SideDecompressor,
    Upstream,
)
from proxy.pipeline.pump import Pump


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One configuration, immutable; a running request keeps the one it began with."""

    routing: RoutingTable
    keyring: Keyring
    identity: IdentityPolicy
    events: EventPolicy
    prices: PriceBook
    limits: Limits
    versions: VersionPolicy = NO_DEMAND
    prompts: PromptBook = NO_PROMPTS
    secret: bytes = field(repr=False)
    digest: str = ""
    has_keys: bool = False
    """The configuration lists proxy keys."""
    outcomes: OutcomePolicy = field(default_factory=OutcomePolicy)
    capture: CapturePolicy | None = None
    """None where no call's content is kept."""
    hashing: PromptHashing = field(init=False, repr=False)
    """How instructions are hashed, by `identity` and `secret`."""

    def __post_init__(self) -> None:
        hashing = PromptHashing(
            mode=self.identity.prompt_hash_mode,
            secret=self.secret,
            ignores_numbers=self.identity.prompt_hash_ignores_numbers,
        )
        object.__setattr__(self, "hashing", hashing)


@dataclass(slots=True, kw_only=True)
class Services:
    """The outside things, introduced to the pipeline by `proxy.app`."""

    snapshot: Callable[[], Snapshot]
    upstream: Upstream
    journal: Journal
    shared: SharedMemory
    estimator: Estimator
    checker: Checker
    clock: Clock
    later: Callable[[Callable[[], None]], None]
    """Takes what has time until the client is served: does it soon, on the event loop, in the order given."""
    random_bytes: Callable[[int], bytes]
    decode_copy: Callable[[bytes, str, int], bytes]
    """(body, Content-Encoding, limit in bytes) → the decoded body; raises RequestError."""
    read_elsewhere: Callable[[bytes, Endpoint, PromptHashing], Awaitable[RequestFacts]]
    """`domain.request_facts.read_all_facts` without holding up the event loop; raises BadRequest."""
    edit_elsewhere: Callable[[bytes, Endpoint, PromptHashing, PromptEdit], Awaitable[tuple[bytes, RequestFacts]]]
    """`domain.request_facts.all_edited_facts` in the same way; raises NoPlaceError, too."""
    side_decompressor: Callable[[str], SideDecompressor]
    observe: Callable[[Exchange], None]
    """Called once for each settled exchange, on the event loop; must not raise."""
    content: ContentKeeper | None = None
    """None where no call's content is kept."""
    flags: Flags | None = None
    """None where no credentials for PostHog's definitions are given."""
    overrides: Callable[[], Overrides] = lambda: NO_OVERRIDES
    """What counts now instead of configured rollouts."""
    judge: Callable[[Exchange, bytes | None], None] | None = None
    """`pipeline.judging.Judging.consider`; None where nobody judges."""
    refuses_usage: set[str] = field(default_factory=set)
    """Names of providers that answered an injected `stream_options` with an error, remembered until restart."""
    first_texts: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    """By version: the hash of its first text, and in which minute it was looked up; see `pipeline.drift`."""
    is_cutting: bool = False
    """True once the drain limit has passed and running calls are being cancelled by the proxy itself."""


@value_class
class RawRequest:
    """A request whose head has been read. `body` yields its bytes as they come and can be read once."""

    exchange_id: str
    """Ours, random and time-ordered: the name of the call in events, records and logs."""
    method: str
    target: RequestTarget
    headers: Fields = field(repr=False)
    body: AsyncIterator[bytes] = field(repr=False)
    has_body: bool
    content_length: int | None
    received_ns: int
    received_unix_us: int
    arrived: bytes | None = field(default=None, repr=False)
    """The whole body, where it came with the head; `body` then yields the same."""


@value_class
class Reply:
    """What the edge writes: all of `body` where it is bytes, else each piece as it is poured."""

    status: int
    reason: str
    headers: Fields = field(repr=False)
    body: bytes | Pump = field(repr=False)


Deliver = Callable[[Reply], Awaitable[None]]
"""Writes one reply to its client, to the last byte. What it raises ends the call."""
