"""How often a call is put into a trace that is not its own, on generated traffic; and how often one begins a trace
that need not.
"""

from pathlib import Path

import orjson

from proxy.adapters.shared_memory import open_shared_memory
from proxy.domain.credentials import NO_CREDENTIALS
from proxy.domain.endpoints import Dialect, classify
from proxy.domain.errors import Status
from proxy.domain.exchange import Attempt, Exchange, Fate
from proxy.domain.fingerprints import PromptHashing
from proxy.domain.request_facts import read_all_facts
from proxy.domain.routing import Target
from proxy.pipeline.acquaint import acquaint
from proxy.pipeline.call import Call
from proxy.pipeline.ports import SharedMemory
from proxy.pipeline.stitch import remember
from proxy.providers.codecs import decoder_for
from tests.harness.conversations import Json, Sent, Tally, play
from tests.pipeline.fakes import OPENAI, SECRET, FakeSharedMemory, request, snapshot, world

MOST_WRONG = 0.001
"""Of the joined calls."""
HASHING = PromptHashing(mode="hmac-sha256", secret=SECRET)
TARGET = Target(provider=OPENAI)


class Proxy:
    """What of the pipeline has to do with traces, without the rest."""

    def __init__(self, shared: SharedMemory) -> None:
        self._services = world().services
        self._services.shared = shared
        self._snapshot = snapshot()

    def serve(self, sent: Sent, reply: Json | None) -> tuple[str, str]:
        headers = [("Authorization", f"Bearer {sent.credential}")]
        headers += [("X-PostHog-Distinct-Id", sent.user)] if sent.user else []
        headers += [("x-stainless-retry-count", str(sent.retries))] if sent.retries else []
        raw = request(sent.body, target=sent.path, headers=headers)
        endpoint = classify("POST", sent.path, Dialect.OPENAI)
        exchange = Exchange(exchange_id=raw.exchange_id, received_unix_us=0, received_ns=0, endpoint=endpoint)
        facts = read_all_facts(orjson.dumps(sent.body), endpoint, HASHING)
        exchange.call = facts.call
        call = Call(
            raw=raw, credentials=NO_CREDENTIALS, exchange=exchange, snapshot=self._snapshot, services=self._services
        )
        caller = acquaint(call, facts.provenance)
        exchange.add(_attempt(endpoint.api, reply))
        exchange.fate = Fate(status=Status.SUCCESS if reply else Status.ERROR)
        remember(exchange, self._services)
        return caller.trace_id, caller.trace_source


def _attempt(api: str, reply: Json | None) -> Attempt:
    decoder = decoder_for(api, "application/json", 200 if reply else 500)
    decoder.feed(orjson.dumps(reply or {"error": {"message": "overloaded"}}), 0)
    return Attempt(ordinal=0, target=TARGET, started_ns=0, http_status=200 if reply else 500, reading=decoder.finish())


def played(shared: SharedMemory, seed: int, conversations: int = 500) -> Tally:
    return play(seed, conversations, Proxy(shared).serve)


def test_nearly_no_call_is_put_into_another_conversation() -> None:
    tally = played(FakeSharedMemory(), seed=1)
    assert tally.joined > 1_000
    assert tally.wrong <= MOST_WRONG * tally.joined
    assert tally.missed < 0.2 * tally.calls
    assert {"response", "tool_call", "prefix", "retry", "new"} <= tally.sources.keys()


def test_a_memory_that_forgets_joins_fewer_and_not_the_wrong_ones(tmp_path: Path) -> None:
    shared = open_shared_memory(tmp_path, buckets=96)
    tally = played(shared, seed=3, conversations=300)
    shared.close()
    assert tally.joined > 500
    assert tally.wrong <= 1  # the first to use an example that had been made here
