import orjson
import pytest

from proxy.domain.endpoints import Endpoint
from proxy.domain.errors import TooLarge, UnsupportedEncoding
from proxy.domain.fingerprints import PromptHashing
from proxy.domain.limits import Limits
from proxy.domain.request_facts import RequestFacts
from tests.pipeline.fakes import CHAT, DONE, call, plain, request, snapshot, streamed, world

GZIP = [("Content-Encoding", "gzip")]


async def test_a_compressed_body_passes_unchanged_and_is_read_from_a_copy() -> None:
    made = world(plain())
    sent = b"gzip" + orjson.dumps(CHAT)
    await call(made, request(sent, headers=GZIP))
    assert made.upstream.bodies == [sent]
    assert dict(made.upstream.requests[0].headers)["Content-Encoding"] == "gzip"
    assert made.journal.end()["requested_model"] == "gpt-4.1-mini"


async def test_stacked_encodings_are_refused() -> None:
    made = world()
    with pytest.raises(UnsupportedEncoding):
        await call(made, request(headers=[("Content-Encoding", "gzip, gzip")]))
    assert made.journal.end()["error_type"] == "unsupported_encoding"


async def test_an_edit_of_a_compressed_body_goes_out_uncompressed() -> None:
    made = world(plain())
    await call(made, request(b"gzip" + orjson.dumps({**CHAT, "stream": True}), headers=GZIP))
    assert "Content-Encoding" not in dict(made.upstream.requests[0].headers)
    assert orjson.loads(made.upstream.bodies[0])["stream_options"] == {"include_usage": True}


async def test_a_refused_body_still_has_its_caller() -> None:
    made = world(configured=snapshot(limits=Limits(body_bytes=5)))
    with pytest.raises(TooLarge):
        await call(made, request(headers=[("X-Prompt-Version", "pv_1"), ("X-PostHog-Distinct-Id", "u")]))
    end = made.journal.end()
    assert (end["error_type"], end["prompt_version_id"]) == ("too_large", "pv_1")
    assert made.journal.events("llm_request_failed")[0]["distinct_id"] == "u"


async def test_a_gemini_path_names_model_and_stream() -> None:
    made = world()
    raw = request({"contents": []}, target="/v1beta/models/gemini-3:streamGenerateContent?alt=sse")
    with pytest.raises(Exception, match="No target"):
        await call(made, raw)
    end = made.journal.end()
    assert (end["requested_model"], end["stream"]) == ("gemini-3", True)


@pytest.mark.parametrize("padding", [10, 200_000])
async def test_a_large_body_is_read_elsewhere_and_edited_as_any_other(padding: int) -> None:
    made = world(streamed(DONE))
    read: list[int] = []
    here = made.services.read_elsewhere

    async def elsewhere(body: bytes, endpoint: Endpoint, hashing: PromptHashing) -> RequestFacts:
        read.append(len(body))
        return await here(body, endpoint, hashing)

    made.services.read_elsewhere = elsewhere
    system = {"role": "system", "content": "x" * padding}
    sent = orjson.dumps({**CHAT, "stream": True, "messages": [system]})
    await call(made, request(sent))
    assert bool(read) is (padding > 10)
    assert made.upstream.bodies == [sent[:-1] + b',"stream_options":{"include_usage":true}}']
    end = made.journal.end()
    assert (end["message_count"], end["stream"]) == (1, True)
    assert end["prompt_hash"].startswith("hmac-sha256:")
