"""Large request bodies, read and edited in a child process.

A JSON parser holds the interpreter from a body's first byte to its last, in whatever thread it runs: 50 ms for 20 MB,
in which no other call would go on. So bodies over `pipeline.admit.LARGE_BODY_BYTES` are read by a child, one after the
other. It is started with the first of them. Where none can be had they are read here, slowly but surely.
"""

import asyncio
import logging
import pickle
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress

from proxy.adapters.body_reader import Outcome, Question, framed, outcome_of
from proxy.adapters.children import environment, python_module
from proxy.domain.endpoints import Endpoint
from proxy.domain.errors import BadRequest
from proxy.domain.fingerprints import PromptHashing
from proxy.domain.prompt_edit import NoPlaceError, PromptEdit
from proxy.domain.request_facts import RequestFacts

PATIENCE_S = 10.0
"""For one body. The largest takes a second."""
END_S = 1.0
"""For a child that was told to end."""

_log = logging.getLogger(__name__)


class LargeBodies:
    """The child and its two pipes."""

    def __init__(self, module: str = "proxy.adapters.body_reader") -> None:
        self._module = module
        self._child: Process | None = None
        self._turn = asyncio.Lock()

    async def read(self, body: bytes, endpoint: Endpoint, hashing: PromptHashing) -> RequestFacts:
        """`read_all_facts` of the body. Raises BadRequest.

        Who is cancelled while waiting for the turn gives up the body too; after that, the child is left in order.
        """
        facts = await self._answer(body, Question(endpoint, hashing))
        assert isinstance(facts, RequestFacts)
        return facts

    async def edit(
        self, body: bytes, endpoint: Endpoint, hashing: PromptHashing, edit: PromptEdit
    ) -> tuple[bytes, RequestFacts]:
        """The body after the edit and what it says then, in the same way. Raises BadRequest and NoPlaceError."""
        changed = await self._answer(body, Question(endpoint, hashing, edit))
        assert isinstance(changed, tuple)
        return changed

    async def _answer(self, body: bytes, question: Question) -> RequestFacts | tuple[bytes, RequestFacts]:
        await self._turn.acquire()
        outcome = await asyncio.shield(self._outcome(body, question))
        if isinstance(outcome, BadRequest | NoPlaceError):
            raise outcome
        return outcome

    async def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin is not None
        child.stdin.close()
        try:
            async with asyncio.timeout(END_S):
                await child.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    async def _outcome(self, body: bytes, question: Question) -> Outcome:
        """With the turn, which it gives back."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._ask(body, question)
        except Exception:  # noqa: BLE001 - whatever a child that is dying, or another one, may answer
            await self.close()
        finally:
            self._turn.release()
        _log.error("no process reads large bodies: this one is read here, while other calls wait")
        return await asyncio.to_thread(outcome_of, body, question)

    async def _ask(self, body: bytes, question: Question) -> Outcome:
        child = self._child = self._child or await self._started()
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(framed((question, len(body))))
        child.stdin.write(body)
        await child.stdin.drain()
        size_bytes = int.from_bytes(await child.stdout.readexactly(4))
        answer: Outcome = pickle.loads(await child.stdout.readexactly(size_bytes))  # noqa: S301  our own process
        return answer

    async def _started(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *python_module(self._module),
            env=environment(),
            stdin=PIPE,  # its end, also when this process is killed, is the child's end
            stdout=PIPE,
            stderr=DEVNULL,  # what it might say of a body is for nobody
            start_new_session=True,  # a terminal's Ctrl-C is not for it
        )
