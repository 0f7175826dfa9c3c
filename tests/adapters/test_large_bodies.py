"""With a real child, and with some that do not do their work."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from proxy.adapters import large_bodies
from proxy.adapters.body_reader import Outcome, Question
from proxy.adapters.large_bodies import LargeBodies
from proxy.domain.endpoints import Dialect, classify
from proxy.domain.errors import BadRequest
from proxy.domain.fingerprints import PromptHashing
from proxy.domain.prompt_edit import NoPlaceError, PromptEdit, edited
from proxy.domain.request_facts import read_all_facts

CHAT = classify("POST", "/v1/chat/completions", Dialect.OPENAI)
HASHING = PromptHashing(mode="hmac-sha256", secret=b"0123456789abcdef")
BODY = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "CANARY " * 300_000}]})
REFUSED = b'{"model":"a","model":"b"}'


@pytest_asyncio.fixture
async def bodies() -> AsyncIterator[LargeBodies]:
    made = LargeBodies()
    yield made
    await made.close()


async def test_a_body_of_megabytes_is_read_as_it_would_be_here(bodies: LargeBodies) -> None:
    assert await bodies.read(BODY, CHAT, HASHING) == read_all_facts(BODY, CHAT, HASHING)


async def test_many_at_once_are_read_in_turn(bodies: LargeBodies) -> None:
    asked = [orjson.dumps({"model": f"m{number}", "messages": []}) for number in range(20)]
    facts = await asyncio.gather(*(bodies.read(body, CHAT, HASHING) for body in asked))
    assert [one.call.requested_model for one in facts] == [f"m{number}" for number in range(20)]


async def test_a_refusal_is_the_callers_and_the_childs_to_tell(
    bodies: LargeBodies, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(BadRequest) as refused:
        await bodies.read(REFUSED, CHAT, HASHING)
    assert refused.value.code == "duplicate_model"
    assert refused.value.public_message
    assert caplog.text == ""


async def test_a_body_of_megabytes_is_edited_as_it_would_be_here(bodies: LargeBodies) -> None:
    edit = PromptEdit(mode="replace", text="Be kind.", parameters={"temperature": 0})
    body, facts = await bodies.edit(BODY, CHAT, HASHING, edit)
    assert body == edited(BODY, "chat", edit)
    assert facts == read_all_facts(body, CHAT, HASHING)
    with pytest.raises(NoPlaceError):
        await bodies.edit(b'{"model":"m","messages":"?"}', CHAT, HASHING, edit)


async def test_who_is_cancelled_leaves_the_child_in_order(bodies: LargeBodies) -> None:
    leaving = asyncio.ensure_future(bodies.read(BODY, CHAT, HASHING))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await bodies.read(b'{"model":"next"}', CHAT, HASHING)).call.requested_model == "next"
    assert leaving.cancelled()


async def test_who_is_cancelled_while_waiting_is_not_read(bodies: LargeBodies, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else clients that upload and leave would pile up their bodies here."""
    asked: list[bytes] = []
    whole = bodies._ask

    async def ask(body: bytes, question: Question) -> Outcome:
        asked.append(body)
        return await whole(body, question)

    monkeypatch.setattr(bodies, "_ask", ask)
    first = asyncio.ensure_future(bodies.read(BODY, CHAT, HASHING))
    leaving = asyncio.ensure_future(bodies.read(b'{"model":"gone"}', CHAT, HASHING))
    await asyncio.sleep(0)
    leaving.cancel()
    last = asyncio.ensure_future(bodies.read(b'{"model":"last"}', CHAT, HASHING))
    assert (await first).call.requested_model == "m"
    assert (await last).call.requested_model == "last"
    assert asked == [BODY, b'{"model":"last"}']


async def test_a_child_that_died_is_replaced_and_nobody_is_refused(
    bodies: LargeBodies, caplog: pytest.LogCaptureFixture
) -> None:
    await bodies.read(BODY, CHAT, HASHING)
    assert bodies._child is not None
    bodies._child.send_signal(signal.SIGKILL)
    await bodies._child.wait()
    assert (await bodies.read(BODY, CHAT, HASHING)).call.requested_model == "m"
    assert "is read here" in caplog.text
    assert "CANARY" not in caplog.text
    caplog.clear()
    assert (await bodies.read(BODY, CHAT, HASHING)).call.requested_model == "m"
    assert caplog.text == ""


@pytest.mark.parametrize(
    "program",
    [
        "import sys; sys.stdin.buffer.read(9); print('nonsense' * 99)",
        "import sys; sys.stdout.buffer.write(bytes([0, 0, 0, 5]) + b'wrong'); sys.stdout.flush(); sys.stdin.read()",
        "import sys; sys.stdin.buffer.read()",
        "raise SystemExit",
    ],
)
async def test_a_child_that_is_another_is_not_believed(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_bodies, "python_module", lambda module: [sys.executable, "-c", program])
    monkeypatch.setattr(large_bodies, "PATIENCE_S", 1.0)
    bodies = LargeBodies()
    assert await bodies.read(BODY, CHAT, HASHING) == read_all_facts(BODY, CHAT, HASHING)
    await bodies.close()


async def test_a_child_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_bodies, "END_S", 0.1)
    bodies = LargeBodies()
    await bodies.read(BODY, CHAT, HASHING)
    child = bodies._child
    assert child is not None
    child.send_signal(signal.SIGSTOP)
    await bodies.close()
    assert child.returncode == -signal.SIGKILL
