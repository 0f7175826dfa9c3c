import socket
from importlib import import_module
from threading import Event, get_ident

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from proxy.adapters import tokenizer as module
from proxy.adapters.tokenizer import COUNTED_CHARS, DamagedVocabulary, Estimator, Tokenizer, heuristic_tokens
from proxy.domain.estimate import Estimate, TextToCount

WAIT_S = 20.0


@pytest.fixture(scope="module")
def loaded():
    tokenizer = Tokenizer()
    tokenizer.load()
    return tokenizer


class Heard:
    """Collects estimates and wakes who waits for one."""

    def __init__(self):
        self.estimates: list[Estimate] = []
        self.threads: set[int] = set()
        self._some = Event()

    def __call__(self, estimate):
        self.estimates.append(estimate)
        self.threads.add(get_ident())
        self._some.set()

    def wait(self):
        assert self._some.wait(WAIT_S)
        return self.estimates[0]


class Gate(Tokenizer):
    """Counts only once it is opened, so that a test can fill the queue behind one job."""

    def __init__(self):
        super().__init__()
        self.entered = Event()
        self.opened = Event()

    @property
    def is_loaded(self):
        return True

    def count_all(self, texts):
        self.entered.set()
        assert self.opened.wait(WAIT_S)
        return sum(map(len, texts))


def job(text="Hello, world!", *, body=b'{"messages":[{"role":"user","content":"Hello"}]}', chars=None):
    return TextToCount(request_body=body, api="chat", output_text=text, output_chars=chars or len(text))


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
def test_counts_are_those_of_o200k_base(loaded, text, tokens):
    assert loaded.count(text) == tokens


def test_special_tokens_in_user_text_are_plain_text(loaded):
    assert loaded.count("<|endoftext|>") == 7


def test_the_pattern_and_hash_are_tiktokens_own(monkeypatch):
    public = import_module("tiktoken_ext.openai_public")
    asked: list[str] = []
    monkeypatch.setattr(public, "load_tiktoken_bpe", lambda url, expected_hash: asked.append(expected_hash))
    assert public.o200k_base()["pat_str"] == module._PATTERN
    assert asked == [module.VOCABULARY_SHA256]


def test_loading_touches_no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was made")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    tokenizer = Tokenizer()
    tokenizer.load()
    assert tokenizer.is_loaded


def test_long_text_is_extrapolated(loaded):
    sentence = "The quick brown fox jumps over the lazy dog. "
    once = loaded.count(sentence * 100) / 100
    many = 3 * COUNTED_CHARS // len(sentence)
    assert loaded.count(sentence * many) == pytest.approx(once * many, rel=0.01)


def test_the_bound_is_on_all_texts_together(loaded, monkeypatch):
    counted: list[int] = []

    def count_exactly(text):
        counted.append(len(text))
        return len(text)

    monkeypatch.setattr(loaded, "_count_exactly", count_exactly)
    assert loaded.count_all(["a" * 200_000] * 5) == 1_000_000
    assert sum(counted) == COUNTED_CHARS


def test_damaged_vocabularies_are_refused():
    for packed in (b"not zstandard", zstandard.compress(b"another file")):
        tokenizer = Tokenizer(packed=packed)
        with pytest.raises(DamagedVocabulary):
            tokenizer.load()
        assert not tokenizer.is_loaded


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("abcd", 1), ("abcde", 2), ("漢字", 2), ("漢字 ab", 3), ("привет", 3)]
)
def test_the_heuristic(text, tokens):
    assert heuristic_tokens(text) == tokens


@given(st.text(alphabet=st.characters(), max_size=200))
def test_the_heuristic_takes_any_text(text):
    assert 0 <= heuristic_tokens(text) <= 2 * len(text) + 1


def test_an_estimate_counts_the_request_and_extrapolates_the_output(loaded):
    estimator, heard = Estimator(loaded), Heard()
    assert estimator.submit(job("Hello, world!", chars=26), heard)
    assert heard.wait() == Estimate(input_tokens=3 + 1 + 1 + 3, output_tokens=8)
    assert heard.threads != {get_ident()}
    assert estimator.close(WAIT_S)


@pytest.mark.parametrize(
    ("given_job", "expected"),
    [
        (job(""), Estimate(input_tokens=8, output_tokens=None)),
        (job("Hello", body=b"not json"), Estimate(input_tokens=None, output_tokens=1)),
    ],
)
def test_what_cannot_be_counted_is_unknown_not_zero(loaded, given_job, expected):
    estimator, heard = Estimator(loaded), Heard()
    estimator.submit(given_job, heard)
    assert heard.wait() == expected
    assert estimator.close(WAIT_S)


def test_the_first_jobs_do_not_wait_for_the_vocabulary():
    class Slow(Tokenizer):
        may_load = Event()

        def load(self):
            assert self.may_load.wait(WAIT_S)
            super().load()

    tokenizer = Slow()
    estimator, first, later = Estimator(tokenizer), Heard(), Heard()
    estimator.submit(job("antidisestablishmentarianism"), first)
    assert first.wait().output_tokens == 7  # 28 bytes / 4
    assert not tokenizer.is_loaded
    tokenizer.may_load.set()
    assert estimator.load()
    estimator.submit(job("antidisestablishmentarianism"), later)
    assert later.wait().output_tokens == 6
    assert estimator.close(WAIT_S)


def test_a_damaged_vocabulary_leaves_the_heuristic(caplog):
    estimator, heard = Estimator(Tokenizer(packed=b"damaged")), Heard()
    estimator.submit(job("abcd"), heard)
    assert heard.wait().output_tokens == 1
    assert estimator.close(WAIT_S)
    assert [(record.msg, vars(record)["error"]) for record in caplog.records] == [
        ("no vocabulary, token estimates stay rough", "DamagedVocabulary")
    ]


def test_loading_a_damaged_vocabulary_fails_nobody(caplog):
    assert not Estimator(Tokenizer(packed=b"damaged")).load()
    assert [vars(record)["error"] for record in caplog.records] == ["DamagedVocabulary"]


def test_a_full_queue_refuses_and_recovers():
    gate = Gate()
    estimator, heard = Estimator(gate, max_jobs=2), Heard()
    assert estimator.submit(job(), heard)
    assert gate.entered.wait(WAIT_S)
    assert estimator.submit(job(), heard)
    assert not estimator.submit(job(), heard)
    gate.opened.set()
    assert estimator.close(WAIT_S)
    assert len(heard.estimates) == 2


def test_the_queue_is_bounded_in_bytes():
    gate = Gate()
    estimator, heard = Estimator(gate, max_bytes=1000), Heard()
    assert not estimator.submit(job("x", body=b"y" * 1000), heard)
    assert estimator.submit(job("x" * 150), heard)
    assert not estimator.submit(job("x" * 150), heard)
    gate.opened.set()
    heard.wait()
    assert estimator.submit(job("x" * 150), heard)
    assert estimator.close(WAIT_S)


def test_close_answers_what_it_gives_up_and_refuses_what_comes_later():
    gate = Gate()
    estimator, begun, waiting, late = Estimator(gate), Heard(), Heard(), Heard()
    estimator.submit(job(), begun)
    assert gate.entered.wait(WAIT_S)
    estimator.submit(job(), waiting)
    assert not estimator.close(0.0)
    assert waiting.estimates == [Estimate(input_tokens=None, output_tokens=None)]
    assert not estimator.submit(job(), late)
    gate.opened.set()
    begun.wait()
    assert len(begun.estimates) == len(waiting.estimates) == 1
    assert not late.estimates


def test_close_without_any_job():
    assert Estimator(Tokenizer()).close(0.0)


def test_the_thread_outlives_a_failing_caller_and_a_panic(loaded, caplog):
    class Panic(BaseException):
        pass

    class Panics(Tokenizer):
        fails = True

        @property
        def is_loaded(self):
            return True

        def count_all(self, texts):
            if self.fails:
                raise Panic("secret text")
            return 1

    def fail(estimate):
        raise ValueError("secret text")

    tokenizer, heard = Panics(), Heard()
    estimator = Estimator(tokenizer)
    estimator.submit(job(), heard)
    assert heard.wait() == Estimate(input_tokens=None, output_tokens=None)
    tokenizer.fails = False
    estimator.submit(job(), fail)
    after = Heard()
    estimator.submit(job(), after)
    assert after.wait().output_tokens == 1
    assert estimator.close(WAIT_S)
    assert "secret" not in caplog.text
    assert "ValueError" in [vars(record)["error"] for record in caplog.records]


def test_pathological_texts_are_counted(loaded):
    estimator, heard = Estimator(loaded), Heard()
    for text in (" " * COUNTED_CHARS, "a" * COUNTED_CHARS, "^" * COUNTED_CHARS):
        assert estimator.submit(job("x", body=orjson.dumps({"messages": [{"role": "user", "content": text}]})), heard)
    assert estimator.close(WAIT_S)
    assert all(estimate.input_tokens for estimate in heard.estimates)
