"""Reads large request bodies for the proxy, in a process of its own: see `adapters.large_bodies`, which starts it.

As a program (`python -m proxy.adapters.body_reader`) it answers on standard output what it is given on standard
input, until that ends. Both ways a frame is four bytes with its length, big-endian, and a pickle: of the question and
the length of the body, which follows as it is; of the facts, of the edited body with its facts, or of why there is
none.
"""

import os
import pickle
import sys
from typing import Any, BinaryIO, NamedTuple

from proxy.domain.endpoints import Endpoint
from proxy.domain.errors import BadRequest
from proxy.domain.fingerprints import PromptHashing
from proxy.domain.prompt_edit import NoPlaceError, PromptEdit
from proxy.domain.request_facts import RequestFacts, all_edited_facts, read_all_facts


class Question(NamedTuple):
    """What to do with a body: edit it first, if there is an edit, and read it."""

    endpoint: Endpoint
    hashing: PromptHashing
    edit: PromptEdit | None = None


Outcome = RequestFacts | tuple[bytes, RequestFacts] | BadRequest | NoPlaceError
"""Nothing of this module's own: to its reader, the program's name for that would be `__main__`."""


def outcome_of(body: bytes, question: Question) -> Outcome:
    """Read one body, or edit it and read what it became."""
    endpoint, hashing, edit = question
    try:
        if edit is None:
            return read_all_facts(body, endpoint, hashing)
        return all_edited_facts(body, endpoint, hashing, edit)
    except (BadRequest, NoPlaceError) as error:
        return error


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
    while (frame := read_frame(questions)) is not None:
        question, size_bytes = frame
        answers.write(framed(outcome_of(questions.read(size_bytes), question)))
        answers.flush()


if __name__ == "__main__":
    os.nice(10)  # who shares a core with the proxy lets it go first
    answer(sys.stdin.buffer, sys.stdout.buffer)
