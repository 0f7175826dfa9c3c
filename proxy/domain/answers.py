"""The answer of a call, as its checks and its judges look at it."""

from proxy.domain.checks import Answer
from proxy.domain.errors import Status
from proxy.domain.exchange import Exchange
from proxy.domain.meter import Reading, StreamEnd
from proxy.domain.prompt_versions import PROMPTED


def answer_of(exchange: Exchange) -> Answer | None:
    """The answer of a call whose reply was whole; None where there is nothing to check."""
    attempt = exchange.final_attempt
    reading = attempt.reading if attempt else None
    if reading is None or exchange.fate is None or exchange.fate.status is not Status.SUCCESS:
        return None
    is_answer = reading.stream_end is StreamEnd.COMPLETE and not reading.tool_call_count and reading.choice_count == 1
    if not is_answer or exchange.endpoint.name not in PROMPTED or not exchange.endpoint.api:
        return None
    if reading.has_media and not reading.answer_chars:
        return None
    is_whole = reading.answer_chars == len(reading.answer_text)
    return Answer(
        beginning=reading.answer_head,
        text=reading.answer_text if is_whole else None,
        chars=reading.answer_chars,
        is_refused=reading.has_refusal,
        is_cited=reading.has_citation,
        tokens=_answer_tokens(reading),
    )


def _answer_tokens(reading: Reading) -> int | None:
    if reading.usage.output_tokens is None:
        return None
    return reading.usage.output_tokens - (reading.usage.reasoning_tokens or 0)
