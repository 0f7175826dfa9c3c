"""One prompt version, one text: what is remembered of a version's texts, and the event that tells of another one.

The first text of a version is what it stands for; each further one is told once. A text that changes at every call,
because its template fills in what no pattern knows, would be told for ever: so a version has a number of tellings a
day, the last of which says that there may be more.
"""

from functools import lru_cache
from hashlib import blake2b

from proxy.domain import call_properties
from proxy.domain.events import EventPolicy, encoded, event_uuid
from proxy.domain.exchange import Exchange
from proxy.domain.fingerprints import NORMALISATION
from proxy.domain.identity import Caller, IdentityPolicy
from proxy.domain.journal_rows import Outcome
from proxy.domain.outcome_properties import PROMPT_DRIFTED, allowed
from proxy.domain.privacy import purpose_key

TELLINGS_A_DAY = 5
_DAY_US = 86_400_000_000
_NAMED_BY_SOMEBODY = frozenset({"header", "body", "rollout"})


def may_drift(caller: Caller) -> bool:
    """True where somebody named the version, and there is a text."""
    return caller.prompt_hash is not None and caller.prompt_version_source in _NAMED_BY_SOMEBODY


def version_key(caller: Caller, identity: IdentityPolicy) -> bytes:
    """Under which the first text of the caller's version is remembered.

    How texts are hashed is a part of it: after a change of that, every version begins anew.
    """
    hashing = (identity.prompt_hash_mode, str(identity.prompt_hash_ignores_numbers), str(NORMALISATION))
    return _version_key(identity.secret, *hashing, caller.prompt_name or "", caller.prompt_version_id or "")


@lru_cache(maxsize=1_024)
def _version_key(secret: bytes, *parts: str) -> bytes:
    return _key(purpose_key(secret, "prompt drift"), *parts)


def text_key(version: bytes, text_hash: str) -> bytes:
    """Under which it is remembered that a text of the version was told."""
    return _key(version, "text", text_hash)


def telling_key(version: bytes, unix_us: int, ordinal: int) -> bytes:
    """Under which a telling of that day (UTC) is remembered; `ordinal` is from 1 to `TELLINGS_A_DAY`."""
    return _key(version, "telling", str(unix_us // _DAY_US), str(ordinal))


def _key(secret: bytes, *parts: str) -> bytes:
    data = b"\0".join(part.encode(errors="surrogatepass") for part in parts)
    return blake2b(data, key=secret, digest_size=16).digest()


def drifted(
    exchange: Exchange, policy: EventPolicy, hash_text: str, *, text: bytes, first_hash: str, ordinal: int
) -> Outcome:
    """The `llm_prompt_drifted` of a call whose text is another one. `hash_text` is its hash, `text` its key,
    `ordinal` that of the telling.

    The same text gives the same uuid, should it be forgotten and told again.
    """
    caller = exchange.caller
    assert caller is not None
    said = {
        **call_properties.of_call(exchange, caller, policy.trace_url_of(caller.trace_id)),
        **call_properties.of_attempt(exchange, exchange.final_attempt),
        "prompt_hash": hash_text,
        "first_prompt_hash": first_hash,
        "prompt_is_volatile": True if ordinal >= TELLINGS_A_DAY else None,
    }
    event = encoded(
        PROMPT_DRIFTED,
        event_uuid(text.hex(), PROMPT_DRIFTED),
        distinct_id=caller.distinct_id,
        at_us=exchange.received_unix_us,
        said=allowed(PROMPT_DRIFTED).members(said),
    )
    return Outcome(
        exchange_id=exchange.exchange_id,
        trace_id=caller.trace_id,
        at_unix_us=exchange.received_unix_us,
        events=(event,),
    )
