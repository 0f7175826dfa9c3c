"""Mixed traffic for conservation: every dialect, every kind of end, and clients that leave in every phase.

The order is random but fixed by the seed, so that a failure can be run again.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

from tests.harness.bed import chat, message
from tests.harness.client import Leave, Plan
from tests.harness.oracle import COMPLETED, FAILED

_GOOD = (
    Plan(kind="plain chat", body=chat()),
    Plan(kind="chat stream", body=chat(stream=True)),
    Plan(kind="long chat stream", body=chat(stream=True), script="words:100"),
    Plan(kind="chat stream with usage", body=chat(stream=True, stream_options={"include_usage": True})),
    Plan(kind="completion", path="/v1/completions", body=chat()),
    Plan(kind="completion stream", path="/v1/completions", body=chat(stream=True)),
    Plan(kind="response", path="/v1/responses", body=chat()),
    Plan(kind="response stream", path="/v1/responses", body=chat(stream=True)),
    Plan(kind="embedding", path="/v1/embeddings", body=chat()),
    Plan(kind="message", path="/v1/messages", body=message()),
    Plan(kind="message stream", path="/v1/messages", body=message(stream=True)),
    Plan(kind="compressed reply", body=chat(), script="encoded:gzip"),
    Plan(kind="usage estimated", body=chat(stream=True), script="no_usage"),
)
_BAD = (
    Plan(kind="429", body=chat(), script="status:429"),
    Plan(kind="500", body=chat(stream=True), script="status:500"),
    Plan(kind="html 502", body=chat(), script="html_error"),
    Plan(kind="reset", body=chat(), script="reset"),
    Plan(kind="cut stream", body=chat(stream=True), script="reset_after:3"),
    Plan(kind="stream without end", body=chat(stream=True), script="end_after:3"),
    Plan(kind="broken framing", body=chat(stream=True), script="fin_after:2"),
    Plan(kind="no HTTP", body=chat(), script="garbage"),
    Plan(kind="invalid JSON", body=b"{"),
    Plan(kind="two models", body=b'{"model":"a","model":"b"}'),
)
_LEAVING = (
    Plan(kind="hang", body=chat(stream=True), script="hang", leaves=Leave.BEFORE_FIRST_BYTE),
    Plan(kind="stream", body=chat(stream=True), script="hang_after:4", leaves=Leave.MID_STREAM),
    Plan(kind="message stream", path="/v1/messages", body=message(stream=True), script="hang_after:5",
         leaves=Leave.MID_STREAM),
)  # fmt: skip
_MAYBE = (
    Plan(kind="half a body", body=chat(), leaves=Leave.IN_BODY),
    Plan(kind="closes after the end", body=chat(stream=True), leaves=Leave.AFTER_END, expected_end=COMPLETED),
)
_NONE = (
    Plan(kind="models", method="GET", path="/v1/models", owes_events=False),
    Plan(kind="count tokens", path="/v1/messages/count_tokens", body=message(), owes_events=False),
    Plan(kind="bad target", path="/v1/../x", owes_events=False),
    Plan(kind="half a head", body=chat(), leaves=Leave.IN_HEAD),
)

_SHARES: tuple[tuple[int, tuple[Plan, ...]], ...] = (
    (60, tuple(replace(plan, expected_end=COMPLETED) for plan in _GOOD)),
    (16, tuple(replace(plan, expected_end=FAILED) for plan in _BAD)),
    (14, tuple(replace(plan, expected_end=FAILED) for plan in _LEAVING)),
    (6, _MAYBE),
    (4, _NONE),
)


def mixed(count: int, seed: int) -> Iterator[Plan]:
    """So many calls, drawn by share; half of those that leave do it with RST."""
    draw = random.Random(seed)
    shares = [share for share, _ in _SHARES]
    for _ in range(count):
        (plans,) = draw.choices([plans for _, plans in _SHARES], shares)
        plan = draw.choice(plans)
        yield replace(plan, leaves_with_reset=True) if plan.leaves and draw.random() < 0.5 else plan
