"""`X-LLM-Context`: a signed token of a call, without content, that an app may hand back with an outcome.

Any replica that has the secret can read what the call was without asking a store. The token says what events say
already; it authorises nothing. `v1.` + base64url of a JSON object + `.` + base64url of an HMAC-SHA256 over all
before it.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence

import orjson

from proxy.domain.call_properties import of_attempt
from proxy.domain.exchange import Exchange
from proxy.domain.flag_properties import Asserted, of_flags
from proxy.domain.identity import Caller
from proxy.domain.privacy import mac, purpose_key
from proxy.domain.rollout import Decision

LIMIT_BYTES = 1_024
_KEPT = {"exchange_id", "distinct_id", "received_unix_us", "key_alias", "$process_person_profile"}
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
    claims: dict[str, object] = {
        "exchange_id": exchange.exchange_id,
        "distinct_id": caller.distinct_id,
        "received_unix_us": exchange.received_unix_us,
        "trace_id": caller.trace_id,
        "request_id": caller.request_id,
        "environment": caller.environment,
        **of_attempt(exchange, attempt),
    }
    if claims["model"] is None:
        del claims["model"]
    if attempt is not None and attempt.cost is not None and attempt.cost.total_usd is not None:
        claims["estimated_cost_usd"] = str(attempt.cost.total_usd)
    _add_prompt(claims, caller)
    _add_caller(claims, caller)
    if exchange.decisions or caller.flags:
        claims |= _of_flags(exchange.decisions, caller.flags)
    return claims


def _add_prompt(claims: dict[str, object], caller: Caller) -> None:
    if caller.prompt_name is not None:
        claims["prompt_name"] = caller.prompt_name
    if caller.prompt_version_id is not None:
        claims["prompt_version_id"] = caller.prompt_version_id
        claims["prompt_version_source"] = caller.prompt_version_source
    if caller.prompt_hash is not None:
        claims["prompt_hash"] = caller.prompt_hash


def _add_caller(claims: dict[str, object], caller: Caller) -> None:
    """One by one: to go through a list of names takes three times as long."""
    if caller.key_alias is not None:
        claims["key_alias"] = caller.key_alias
    if caller.task_id is not None:
        claims["task_id"] = caller.task_id
    if caller.task_type is not None:
        claims["task_type"] = caller.task_type
    if caller.session_id is not None:
        claims["$session_id"] = caller.session_id
    if caller.groups:
        claims["$groups"] = dict(caller.groups)
    if caller.is_anonymous:
        claims["$process_person_profile"] = False


def _of_flags(decisions: Sequence[Decision], asserted: Asserted) -> Claims:
    """Without the list of those that are on, since the `$feature/…` say it."""
    said = of_flags(decisions, asserted).items()
    return {name: value for name, value in said if value is not None and name != "$active_feature_flags"}


def sign(claims: Claims, secret: bytes) -> str:
    """Make the token. Where it would be too long, the longest values are left out, but for call, person and key."""
    key = _key(secret)
    token = _signed(claims, key)
    if len(token) > LIMIT_BYTES:
        kept = dict(claims)
        while len(token) > LIMIT_BYTES:
            kept.pop(max(kept.keys() - _KEPT, key=lambda name: len(str(kept[name]))))
            token = _signed(kept, key)
    return token.decode()


def _signed(claims: Claims, key: bytes) -> bytes:
    head = b"v1." + _encode(orjson.dumps(claims))
    return b"%b.%b" % (head, _encode(mac(key, head)))


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
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_")


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
