import hashlib

import pytest

from tests.harness.client import Ending, Leave, LoadClient, Plan, RawClient
from tests.harness.provider import ScriptedProvider
from tests.harness.replies import End, Reply

CHAT = b'{"model":"m","messages":[]}'
STREAM = b'{"model":"m","messages":[],"stream":true}'


def load(provider: ScriptedProvider) -> LoadClient:
    return LoadClient(port=provider.port, provider_saw=provider.wait_for_call)


async def test_keeps_a_ledger_of_what_it_saw() -> None:
    async with ScriptedProvider() as provider, load(provider) as client:
        await client.run([Plan(body=CHAT), Plan(body=STREAM), Plan(body=CHAT, script="status:500")], concurrency=1)
        plain, stream, failed = client.ledger
        assert [call.status for call in client.ledger] == [200, 200, 500]
        assert {call.ending for call in client.ledger} == {Ending.COMPLETE}
        assert provider.of_call(stream.call_id)[0].body == STREAM
    assert provider.connections == 1
    assert plain.body_sha256 != stream.body_sha256
    assert failed.began_ns < failed.head_ns <= failed.ended_ns  # type: ignore[operator]


@pytest.mark.parametrize(
    ("leaves", "script", "arrives"),
    [
        (Leave.IN_HEAD, None, False),
        (Leave.IN_BODY, None, True),
        (Leave.BEFORE_FIRST_BYTE, "hang", True),
        (Leave.MID_STREAM, "hang_after:3", True),
        (Leave.AFTER_END, None, True),
    ],
)
@pytest.mark.parametrize("resets", [False, True])
async def test_leaves_in_each_phase(leaves: Leave, script: str | None, arrives: bool, resets: bool) -> None:
    async with ScriptedProvider() as provider, load(provider) as client:
        call = await client.call(Plan(body=STREAM, script=script, leaves=leaves, leaves_with_reset=resets))
        if arrives and not (leaves is Leave.IN_BODY and resets):
            await (await provider.wait_for_call(call.call_id)).wait_closed()
    assert call.ending is (Ending.COMPLETE if leaves is Leave.AFTER_END else Ending.LEFT)
    assert (call.status is not None) == (leaves in (Leave.MID_STREAM, Leave.AFTER_END))


async def test_tells_broken_and_refused_apart() -> None:
    async with ScriptedProvider() as provider, load(provider) as client:
        broken = await client.call(Plan(body=STREAM, script="reset_after:2"))
        reset = await client.call(Plan(body=STREAM, script="reset"))
        await provider.refuse()
        refused = await client.call(Plan(body=STREAM))
    assert [broken.ending, reset.ending, refused.ending] == [Ending.BROKEN, Ending.BROKEN, Ending.REFUSED]
    assert broken.body_bytes > 0


async def test_a_connection_that_the_server_closes_is_not_used_again() -> None:
    async with ScriptedProvider(Reply(end=End.CLOSE)) as provider, load(provider) as client:
        for _ in range(3):
            call = await client.call(Plan(body=CHAT))
            assert call.ending is Ending.COMPLETE
    assert provider.connections == 3


async def test_counts_and_hashes_the_body_without_its_framing() -> None:
    async with ScriptedProvider() as provider, load(provider) as client:
        call = await client.call(Plan(body=b"x" * 1000, script="echo"))
    assert (call.body_bytes, call.body_sha256) == (1000, hashlib.sha256(b"x" * 1000).hexdigest())


async def test_reads_every_reply_on_a_connection() -> None:
    async with ScriptedProvider() as provider, RawClient(provider.port) as client:
        one = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
        await client.send(one * 2 + one.replace(b"Host", b"X-Script: garbage\r\nHost"))
        head = await client.head()
        assert head is not None
        assert (await client.body(head, "GET")).json()["object"] == "list"
        assert (await client.reply("GET")).status == 200
