import io
import socket
from collections.abc import Sequence
from importlib import import_module

import pytest
import zstandard

from proxy.adapters import tokenizer as module
from proxy.adapters.tokenizer import DamagedVocabulary, Tokenizer, answer, read_question


@pytest.fixture(scope="module")
def loaded() -> Tokenizer:
    return Tokenizer()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("Hello, world!", 4),
        ("tiktoken is great!", 6),
        ("お誕生日おめでとう", 8),
        ("antidisestablishmentarianism", 6),
        ("2 + 2 = 4", 7),
        ("\ud800", 1),
    ],
)
def test_counts_are_those_of_o200k_base(loaded: Tokenizer, text: str, tokens: int) -> None:
    assert loaded.count([text]) == tokens


def test_texts_are_counted_each_by_itself(loaded: Tokenizer) -> None:
    assert loaded.count(["Hello", ", world!"]) == loaded.count(["Hello"]) + loaded.count([", world!"])


def test_special_tokens_in_user_text_are_plain_text(loaded: Tokenizer) -> None:
    assert loaded.count(["<|endoftext|>"]) == 7


@pytest.mark.parametrize("char", [" ", "a", "^"])
def test_pathological_texts_are_counted(loaded: Tokenizer, char: str) -> None:
    assert loaded.count([char * 256 * 1024]) > 0


def test_the_pattern_and_hash_are_tiktokens_own(monkeypatch: pytest.MonkeyPatch) -> None:
    public = import_module("tiktoken_ext.openai_public")
    asked: list[str] = []
    monkeypatch.setattr(public, "load_tiktoken_bpe", lambda url, expected_hash: asked.append(expected_hash))
    assert public.o200k_base()["pat_str"] == module._PATTERN
    assert asked == [module.VOCABULARY_SHA256]


def test_loading_touches_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was made")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    Tokenizer()


def test_damaged_vocabularies_are_refused() -> None:
    for packed in (b"not zstandard", zstandard.compress(b"another file")):
        with pytest.raises(DamagedVocabulary):
            Tokenizer(packed=packed)


class Panic(BaseException):
    """As tiktoken's Rust raises it."""


class Brittle(Tokenizer):
    def __init__(self) -> None:
        """Without a vocabulary."""

    def count(self, texts: Sequence[str]) -> int:
        if "break" in texts:
            raise Panic
        return sum(map(len, texts))


def test_questions_are_answered_in_turn_whatever_is_asked() -> None:
    asked = b"3\n2\nab1\n\n0\n1\n5\nbreak0\n1\n3\n" + "\ud800".encode("utf-8", "surrogatepass")
    answers = io.BytesIO()
    answer(Brittle(), io.BytesIO(asked), answers)
    assert answers.getvalue() == b"ready\n3\n-1\n0\n1\n"
    assert read_question(io.BytesIO()) is None
