"""Every recorded reply, exact however its bytes are cut; and which decoder a reply gets."""

from typing import Any

import pytest

from proxy.domain.meter import StreamEnd
from proxy.domain.usage import UsageSource
from proxy.providers.codecs import CODECS, decoder_for
from proxy.providers.decoder import BlindDecoder, ReplyDecoder
from proxy.providers.sse import SseFramer
from tests.golden.make_wire import SAMPLES, files
from tests.harness.wire import GOLDEN, SHARED, Sample
from tests.providers.replay import api_of, extras, facts, metered_samples, read, splits, without_time

EVERY_SAMPLE = [pytest.param(sample, id=sample.name) for sample in metered_samples()]
NOT_IN_A_READING = {
    "first_output_event",
    "ttft_event",
    "ttft_event_index",
    "uncached_input_tokens",
    "upstream_queue_time",
    "upstream_provider",
}
"""What sidecars state that a test below checks, or that the meter does not tell."""
AMOUNTS = {"provider_cost_usd", "audio_seconds"}


def extra_of(sample: Sample) -> dict[str, Any]:
    extra = sample.expected.get("extra") or {}
    assert isinstance(extra, dict)
    return {name: float(value) if name in AMOUNTS and value is not None else value for name, value in extra.items()}


def first_output_event(sample: Sample) -> tuple[bool, int | None]:
    """Whether the sidecar says which event is the first with output, and which."""
    extra = extra_of(sample)
    name = "first_output_event" if "first_output_event" in extra else "ttft_event_index"
    return name in extra, extra.get(name)


@pytest.mark.parametrize("sample", EVERY_SAMPLE)
def test_a_reading_is_what_the_sidecar_states(sample: Sample) -> None:
    reading = read(sample, [sample.body])
    stated = {name: sample.expected[name] for name in facts(reading)}
    assert facts(reading) == stated
    known = extras(reading)
    extra = {name: value for name, value in extra_of(sample).items() if name not in NOT_IN_A_READING}
    assert {name: known[name] for name in extra} == extra


@pytest.mark.parametrize("sample", EVERY_SAMPLE)
def test_a_reading_is_the_same_however_the_bytes_are_cut(sample: Sample) -> None:
    whole = without_time(read(sample, [sample.body]))
    for pieces in splits(sample.body):
        assert without_time(read(sample, pieces)) == whole, [len(piece) for piece in pieces]


@pytest.mark.parametrize(
    "sample",
    [param for sample, param in zip(metered_samples(), EVERY_SAMPLE, strict=True) if first_output_event(sample)[0]],
)
def test_the_first_token_came_with_the_first_event_that_has_output(sample: Sample) -> None:
    decoder = decoder_for(api_of(sample), sample.content_type, sample.http_status)
    framer = SseFramer()
    events_so_far = 0
    for position in range(len(sample.body)):
        byte = sample.body[position : position + 1]
        decoder.feed(byte, events_so_far)
        events_so_far += len(framer.feed(byte))
    assert decoder.finish().first_token_ns == first_output_event(sample)[1]


def test_the_golden_set_is_what_its_script_writes() -> None:
    assert {path.name: path.read_bytes() for path in GOLDEN.iterdir()} == files()


def test_the_golden_set_is_large_and_says_why() -> None:
    assert len(SAMPLES) >= 55
    assert len({sample.name for sample in SAMPLES}) == len(SAMPLES)
    assert [sample.name for sample in SAMPLES if not sample.why] == []
    assert {sample.api for sample in SAMPLES} == set(CODECS)


def test_the_shared_samples_are_read_where_they_are_at_hand() -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared wire samples are not at hand")
    names = {sample.name for sample in metered_samples()} - {sample.name for sample in SAMPLES}
    assert len(names) >= 55


@pytest.mark.parametrize("api", sorted(CODECS))
@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Text/Event-Stream; charset=utf-8", "", "application/problem+json"],
)
def test_json_and_event_streams_are_read(api: str, content_type: str) -> None:
    assert isinstance(decoder_for(api, content_type, 200), ReplyDecoder)


@pytest.mark.parametrize(
    ("api", "content_type"), [("", "application/json"), ("other", "text/event-stream"), ("chat", "text/html")]
)
@pytest.mark.parametrize(
    ("status", "broken", "end"),
    [
        (200, False, StreamEnd.COMPLETE),
        (200, True, StreamEnd.TRUNCATED),
        (302, False, StreamEnd.ERROR),
        (502, True, StreamEnd.ERROR),
    ],
)
def test_other_bodies_count_nothing(api: str, content_type: str, status: int, broken: bool, end: StreamEnd) -> None:
    decoder = decoder_for(api, content_type, status)
    assert isinstance(decoder, BlindDecoder)
    decoder.feed(b'{"usage":{"prompt_tokens":1,"completion_tokens":1}}', 5)
    reading = decoder.finish(broken=broken)
    assert (reading.stream_end, reading.usage_source, reading.first_token_ns) == (end, UsageSource.NONE, None)


def test_raw_audio_is_output_from_its_first_byte() -> None:
    decoder = decoder_for("speech", "audio/mpeg", 200)
    decoder.feed(b"", 1)
    decoder.feed(b"ID3", 2)
    decoder.feed(b"\x04", 3)
    reading = decoder.finish()
    assert (reading.first_token_ns, reading.has_media) == (2, True)
