"""`X-LLM-Context`: a signed token of a call, without content, that an app may hand back with an outcome.

Any replica that has the secret can read what the call was without asking a store. The token says what events say
already; it authorises nothing. `v1.` + base64url of a JSON object + `.` + base64url of an HMAC-SHA256 over all
before it.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode
from collections.abc import Mapping

import orjson

from proxy.domain.call_properties import of_attempt
from proxy.domain.exchange import Exchange
from proxy.domain.flag_properties import of_flags
from proxy.domain.privacy import mac, purpose_key

LIMIT_BYTES = 1_024
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_KEPT = {"exchange_id", "distinct_id", "received_unix_us", "key_alias", "$process_person_profile"}
_LEFT_OUT = {"$active_feature_flags"}
"""The `$feature/…` say it."""
Claims = Mapping[str, object]
"""Texts, numbers, booleans, and `$groups` as a map of texts."""


def sign_context(exchange: Exchange, secret: bytes) -> str:
    """The token of a call as far as it has come, at most 1,024 bytes. The caller must be known.

    The cost is in it only where the reply was held until its end.
    """
    return sign(claims_of(exchange), secret)


def claims_of(exchange: Exchange) -> Claims:
    """What the token says of a call, under the names of event properties; cost is text."""
    caller, attempt = exchange.caller, exchange.final_attempt
    assert caller is not None
    cost_usd = attempt.cost.total_usd if attempt and attempt.cost else None
    claims = {
        "exchange_id": exchange.exchange_id,
        "distinct_id": caller.distinct_id,
        "received_unix_us": exchange.received_unix_us,
        "trace_id": caller.trace_id,
        "estimated_cost_usd": None if cost_usd is None else str(cost_usd),
        **of_attempt(exchange, attempt),
        "prompt_name": caller.prompt_name,
        "prompt_version_id": caller.prompt_version_id,
        "prompt_version_source": caller.prompt_version_source if caller.prompt_version_id else None,
        "prompt_hash": caller.prompt_hash,
        **of_flags(exchange.decisions, caller.flags),
        "environment": caller.environment,
        "key_alias": caller.key_alias,
        "request_id": caller.request_id,
        "task_id": caller.task_id,
        "task_type": caller.task_type,
        "$session_id": caller.session_id,
        "$groups": dict(caller.groups) or None,
        "$process_person_profile": False if caller.is_anonymous else None,
    }
    return {name: value for name, value in claims.items() if value is not None and name not in _LEFT_OUT}


def sign(claims: Claims, secret: bytes) -> str:
    """Make the token. Where it would be too long, the longest values are left out, but for call, person and key."""
    kept, key = dict(claims), _key(secret)
    while True:
        head = b"v1." + _encode(orjson.dumps(kept))
        token = b"%b.%b" % (head, _encode(mac(key, head)))
        if len(token) <= LIMIT_BYTES:
            return token.decode()
        kept.pop(max(kept.keys() - _KEPT, key=lambda name: len(str(kept[name]))))


def verify(token: str, secret: bytes) -> Claims | None:
    """The claims of a token that this secret has signed, else None. How old it may be is the reader's to say."""
    if len(token) > LIMIT_BYTES or not token.isascii():
        return None
    head, _, seal = token.rpartition(".")
    version, _, payload = head.partition(".")
    if version != "v1":
        return None
    try:
        if not hmac.compare_digest(_decode(seal), mac(_key(secret), head.encode())):
            return None
        claims = orjson.loads(_decode(payload))
    except (binascii.Error, orjson.JSONDecodeError):
        return None
    return claims if isinstance(claims, dict) else None


def _key(secret: bytes) -> bytes:
    return purpose_key(secret, "context token")


def _encode(data: bytes) -> bytes:
    """Base64url without padding."""
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE, b"=")


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
