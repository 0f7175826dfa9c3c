"""Exact token counts with OpenAI's o200k_base vocabulary, in a process of their own.

The vocabulary takes 50 MB and 0.4 s to load, the last half of which holds the interpreter's lock: so it lives in a
child of the proxy, which `adapters.estimator` starts with the first count. It is built from the file in `proxy/data`
after its hash was checked; tiktoken's own constructors would download it.

As a program (`python -m proxy.adapters.tokenizer`) it says `ready` and answers on standard output what is asked on
standard input, until that ends: a line with the number of texts, and for each a line with its size in bytes and the
bytes; the answer is a line with the tokens of all of them together, or -1 where they could not be counted.
"""

import base64
import hashlib
import sys
from collections.abc import Sequence
from importlib.resources import files
from typing import BinaryIO

import tiktoken
import zstandard

VOCABULARY_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
VOCABULARY_BYTES = 3_613_922
_PATTERN = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
"""As `tiktoken_ext.openai_public.o200k_base` has it; stated here because calling that would download."""


class DamagedVocabulary(Exception):
    """The vocabulary's file is not the one that was checked in."""


class Tokenizer:
    """Counts tokens of o200k_base, special tokens taken as plain text. Raises `DamagedVocabulary`, `OSError`."""

    def __init__(self, *, packed: bytes | None = None) -> None:
        """`packed` replaces the compressed vocabulary of the package."""
        self._encoding = _build(packed or _read_packed())

    def count(self, texts: Sequence[str]) -> int:
        """Tokens of all `texts` together, each tokenized by itself."""
        return sum(len(self._encoding.encode_ordinary(text)) for text in texts)


def _read_packed() -> bytes:
    return files("proxy").joinpath("data", "o200k_base.tiktoken.zst").read_bytes()


def _build(packed: bytes) -> tiktoken.Encoding:
    try:
        vocabulary = zstandard.ZstdDecompressor().decompress(packed, max_output_size=VOCABULARY_BYTES)
    except zstandard.ZstdError as error:
        raise DamagedVocabulary from error
    if hashlib.sha256(vocabulary).hexdigest() != VOCABULARY_SHA256:
        raise DamagedVocabulary
    lines = (line.split() for line in vocabulary.splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    encoding = tiktoken.Encoding("o200k_base", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={})
    ranks.clear()  # tiktoken counts with a copy of its own; this one would cost 15 MB for ever
    return encoding


def read_question(stream: BinaryIO) -> list[str] | None:
    """What was asked; None at the end of the stream."""
    if not (line := stream.readline()):
        return None
    return [stream.read(int(stream.readline())).decode("utf-8", "surrogatepass") for _ in range(int(line))]


def answer(tokenizer: Tokenizer, questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more questions."""
    answers.write(b"ready\n")
    answers.flush()
    while (texts := read_question(questions)) is not None:
        try:
            tokens = tokenizer.count(texts)
        except BaseException:  # noqa: BLE001  a panic of tiktoken's Rust is not an Exception
            tokens = -1
        answers.write(b"%d\n" % tokens)
        answers.flush()


if __name__ == "__main__":
    answer(Tokenizer(), sys.stdin.buffer, sys.stdout.buffer)
