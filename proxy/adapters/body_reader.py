"""Reads large request bodies for the proxy, in a process of its own: see `adapters.large_bodies`, which starts it.

As a program (`python -m proxy.adapters.body_reader`) it answers on standard output what it is given on standard
input, until that ends. Both ways a frame is four bytes with its length, big-endian, and a pickle: of the endpoint, of
how to hash, and of the length of the body, which follows as it is; of the facts, or of what the body is refused with.
"""

import os
import pickle
import sys
from typing import Any, BinaryIO

from proxy.domain.endpoints import Endpoint
from proxy.domain.errors import BadRequest
from proxy.domain.request_facts import PromptHashing, RequestFacts, read_all_facts

Refusal = tuple[str, str]
"""What a BadRequest says, and its code."""
Outcome = RequestFacts | Refusal


def outcome_of(body: bytes, endpoint: Endpoint, hashing: PromptHashing) -> Outcome:
    """Read one body."""
    try:
        return read_all_facts(body, endpoint, hashing)
    except BadRequest as error:
        return error.public_message, error.code


def framed(value: object) -> bytes:
    """The value as a frame."""
    data = pickle.dumps(value)
    return len(data).to_bytes(4) + data


def read_frame(stream: BinaryIO) -> Any:  # noqa: ANN401
    """The next value; None at the end of the stream."""
    head = stream.read(4)
    return pickle.loads(stream.read(int.from_bytes(head))) if len(head) == 4 else None  # noqa: S301  our own process


def answer(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more questions."""
    while (question := read_frame(questions)) is not None:
        endpoint, hashing, size_bytes = question
        answers.write(framed(outcome_of(questions.read(size_bytes), endpoint, hashing)))
        answers.flush()


if __name__ == "__main__":
    os.nice(10)  # who shares a core with the proxy lets it go first
    answer(sys.stdin.buffer, sys.stdout.buffer)
