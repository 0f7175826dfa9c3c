"""Getting to know the caller: who it is, and in which trace.

Where nothing depends on it before, this waits until the request is on its way: a provider takes longer for its first
byte than this takes. Whoever needs the caller earlier, to refuse or to decide, asks for it, and it is known from then
on. A call that fails before it is sent has its caller told too.
"""

from proxy.domain.chat import described, messages_of
from proxy.domain.identity import Caller, identify
from proxy.domain.ids import request_id_of, trace_id_of
from proxy.domain.provenance import NOTHING_SAID, Provenance, read_provenance
from proxy.pipeline.call import Call
from proxy.pipeline.stitch import stitch


def acquaint(call: Call, told: Provenance | None = None) -> Caller:
    """The caller, found out when first asked for. `told`: what the body says, where all of it has been read."""
    exchange = call.exchange
    if exchange.caller is not None:
        return exchange.caller
    provenance = told or _read(call)
    exchange.caller = identify(
        call.raw.headers,
        provenance,
        call.credentials.key,
        call.snapshot.identity,
        new_trace_id=trace_id_of(exchange.exchange_id),
        new_request_id=request_id_of(exchange.exchange_id),
    )
    if provenance.conversation is not None:
        stitch(provenance.conversation, call)
    return exchange.caller


def _read(call: Call) -> Provenance:
    """Read the rest of the body, of which nothing is held any longer then."""
    exchange = call.exchange
    parsed, exchange.parsed = exchange.parsed, None
    if parsed is None or exchange.call is None:
        return NOTHING_SAID
    messages = messages_of(parsed)
    exchange.call = described(exchange.call, parsed, messages)
    return read_provenance(parsed, messages, exchange.endpoint, call.snapshot.hashing)
