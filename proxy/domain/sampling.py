"""Shares of traces: whole traces are kept or left, the same ones in every process and for every purpose."""

from hashlib import blake2b


def is_sampled(trace_id: str, share: float) -> bool:
    """True for so many of all traces, from 0 to 1; a smaller share is a part of a larger one."""
    if share >= 1.0:
        return True
    digest = blake2b(trace_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64
