"""Who may tell outcomes, and about whose calls.

A proxy key tells anything about its own calls; a publishable key, which stands in a page for all to see, and a
feedback token, which a reply carried, tell what a user thought and nothing else. Where the configuration knows no
proxy keys, whoever comes from this machine itself may tell anything, and nobody else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from proxy.domain.credentials import Keyring, authenticate, is_token, places_of_keys
from proxy.domain.errors import Forbidden, Unauthenticated
from proxy.domain.feedback_token import verify_feedback
from proxy.domain.fields import Fields
from proxy.domain.outcome_context import CallContext
from proxy.domain.outcomes import Verb
from proxy.domain.paths import is_local_host
from proxy.domain.policy import OutcomePolicy, PublishableKey

TOKEN_HEADER = "x-llm-feedback-token"  # noqa: S105 - a field's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What decides who comes in."""

    keyring: Keyring
    has_keys: bool
    """The configuration lists proxy keys: without one nobody tells anything, also from this machine."""
    policy: OutcomePolicy
    secret: bytes = field(repr=False)
    admin_token: str | None = field(default=None, repr=False)
    is_loopback: bool = False
    """The proxy listens on this machine alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Who tells. `alias` None sees the calls of all; `name` keeps the ids of one caller apart from another's."""

    name: str
    alias: str | None = None
    environment: str | None = None
    rates_call: str | None = None
    """The one call that a feedback token lets its holder rate."""

    def may_tell_of(self, context: CallContext) -> bool:
        """The call is not another key's, nor another than the token is for."""
        if self.rates_call is not None:
            return context.exchange_id == self.rates_call
        return self.alias is None or context.key_alias in (None, self.alias)


def teller_of(headers: Fields, raw_query: str, verb: Verb, door: Door, now_unix_us: int) -> Teller:
    """Raises Unauthenticated, and Forbidden for what may send feedback alone."""
    token = headers.first(TOKEN_HEADER)
    if token is not None:
        return _rater(token, verb, door, now_unix_us)
    presented = _presented(headers)
    published = _published(presented, door.policy)
    if published is not None:
        if verb is not Verb.FEEDBACK:
            raise Forbidden("A publishable key may send feedback alone.", code="feedback_alone")
        return Teller(name=f"publishable {published.alias}", alias=published.alias)
    if any(is_token(word, door.admin_token) for word in presented):
        return Teller(name="operator")
    key = authenticate(headers, raw_query, door.keyring).key
    if key is not None:
        return Teller(name=f"key {key.alias}", alias=key.alias, environment=key.environment)
    if door.has_keys or not door.is_loopback or not is_local_host(headers.first("host") or ""):
        raise Unauthenticated(
            "Send a proxy key as a bearer token. Without keys in routing.yaml, this machine alone may call.",
            code="outcome_key_required",
        )
    return Teller(name="operator")


def _rater(token: str, verb: Verb, door: Door, now_unix_us: int) -> Teller:
    said = verify_feedback(token.strip(), door.secret)
    if said is None:
        raise Unauthenticated("The feedback token is not one of this proxy's.", code="bad_feedback_token")
    if said.expires_unix_s * 1_000_000 <= now_unix_us:
        raise Unauthenticated("The feedback token has expired.", code="expired_feedback_token")
    if verb is not Verb.FEEDBACK:
        raise Forbidden("A feedback token may send feedback alone.", code="feedback_alone")
    return Teller(name="token", rates_call=said.exchange_id)


def _presented(headers: Fields) -> list[str]:
    """The last word of each credential."""
    given = [headers.values[position].split() for _, position in places_of_keys(headers.names)]
    return [words[-1] for words in given if words]


def _published(presented: Sequence[str], policy: OutcomePolicy) -> PublishableKey | None:
    return next((known for known in policy.publishable_keys if known.key in presented), None)
