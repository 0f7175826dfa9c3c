"""Drift: a prompt version that runs with another text than before is told, once for each text."""

from proxy.domain.exchange import Exchange
from proxy.domain.identity import Caller
from proxy.domain.prompt_drift import TELLINGS_A_DAY, drifted, may_drift, telling_key, text_key, version_key
from proxy.pipeline.ports import SharedMemory
from proxy.pipeline.services import Services, Snapshot

_REMEMBERED_BYTES = 80
_LOOK_US = 60_000_000
"""Who has seen a version's first text looks it up again in the next minute: it may be forgotten, and told anew then."""
_MOST_VERSIONS = 1_000


def watch_drift(exchange: Exchange, snapshot: Snapshot, services: Services) -> None:
    """Remember which text the call's version ran with, and note it where that is new.

    A version that is seen for the first time has not drifted, and neither has one whose first text was forgotten.
    """
    caller, shared = exchange.caller, services.shared
    if caller is None or not exchange.attempts or not may_drift(caller) or not snapshot.events.product:
        return
    hash_text = _hash_of_text(exchange, caller)
    text_hash = hash_text.encode()[:_REMEMBERED_BYTES]
    version = version_key(caller, snapshot.identity)
    seen = (text_hash, exchange.received_unix_us // _LOOK_US)
    if services.first_texts.get(version) == seen:
        return
    first = shared.recall(version)
    if first is None:
        shared.remember(version, text_hash)
    if first is None or first == text_hash:
        if len(services.first_texts) >= _MOST_VERSIONS:
            services.first_texts.clear()
        services.first_texts[version] = seen
        return
    text = text_key(version, hash_text)
    if shared.recall(text) is not None:
        return
    ordinal = _next_telling(shared, version, exchange.received_unix_us)
    if ordinal is None:
        return  # and the text is not remembered: texts without end would push out what others remember
    shared.remember(text, b"")
    first_hash = first.decode(errors="replace")
    told = drifted(exchange, snapshot.events, hash_text, text=text, first_hash=first_hash, ordinal=ordinal)
    services.journal.note(told)


def _hash_of_text(exchange: Exchange, caller: Caller) -> str:
    """That of the version's content where the proxy put the text in: what it rendered has a call's own values in it."""
    if exchange.assignment is not None and exchange.assignment.version.text is not None:
        return exchange.assignment.version.content_hash
    return caller.prompt_hash or ""


def _next_telling(shared: SharedMemory, version: bytes, unix_us: int) -> int | None:
    """The ordinal of the next telling of the day; None where all were used up."""
    keys = [telling_key(version, unix_us, ordinal) for ordinal in range(1, TELLINGS_A_DAY + 1)]
    if shared.recall(keys[-1]) is not None:
        return None
    return next((ordinal for ordinal, key in enumerate(keys, 1) if shared.remember(key, b"")), None)
