import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, get_ident

import pytest

from proxy.adapters import estimator as module
from proxy.adapters.estimator import COUNTED_CHARS, CountingProcess, Estimator, Uncounted
from proxy.adapters.tokenizer import Tokenizer
from proxy.domain.estimate import Estimate, TextToCount

WAIT_S = 20.0


def count(texts: Sequence[str]) -> int:
    """A token for each character."""
    return sum(map(len, texts))


@pytest.fixture(scope="module")
def loaded():
    return Tokenizer()


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


class Gate:
    """Counts only once it is opened, so that a test can fill the queue behind one job."""

    def __init__(self):
        self.entered = Event()
        self.opened = Event()

    def count(self, texts):
        self.entered.set()
        assert self.opened.wait(WAIT_S)
        return sum(map(len, texts))


def job(text="Hello, world!", *, body=b'{"messages":[{"role":"user","content":"Hello"}]}', chars=None):
    return TextToCount(request_body=body, api="chat", output_text=text, output_chars=chars or len(text))


def test_an_estimate_counts_the_request_and_extrapolates_the_output(loaded):
    estimator, heard = Estimator(loaded.count), Heard()
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
    estimator, heard = Estimator(loaded.count), Heard()
    estimator.submit(given_job, heard)
    assert heard.wait() == expected
    assert estimator.close(WAIT_S)


def test_a_full_queue_refuses_and_recovers():
    gate = Gate()
    estimator, heard = Estimator(gate.count, max_jobs=2), Heard()
    assert estimator.submit(job(), heard)
    assert gate.entered.wait(WAIT_S)
    assert estimator.submit(job(), heard)
    assert not estimator.submit(job(), heard)
    gate.opened.set()
    assert estimator.close(WAIT_S)
    assert len(heard.estimates) == 2


def test_the_queue_is_bounded_in_bytes():
    gate = Gate()
    estimator, heard = Estimator(gate.count, max_bytes=1000), Heard()
    assert not estimator.submit(job("x", body=b"y" * 1000), heard)
    assert estimator.submit(job("x" * 150), heard)
    assert not estimator.submit(job("x" * 150), heard)
    gate.opened.set()
    heard.wait()
    assert estimator.submit(job("x" * 150), heard)
    assert estimator.close(WAIT_S)


def test_close_answers_what_it_gives_up_and_refuses_what_comes_later():
    gate = Gate()
    estimator, begun, waiting, late = Estimator(gate.count), Heard(), Heard(), Heard()
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
    assert Estimator(count).close(0.0)


def test_the_thread_outlives_a_failing_caller_and_a_text_that_cannot_be_counted(caplog):
    def brittle(texts):
        if "break" in texts:
            raise Uncounted("secret text")
        return 1

    def fail(estimate):
        raise ValueError("secret text")

    estimator, heard, after = Estimator(brittle), Heard(), Heard()
    estimator.submit(job("break"), heard)
    assert heard.wait() == Estimate(input_tokens=None, output_tokens=None)
    estimator.submit(job(), fail)
    estimator.submit(job(), after)
    assert after.wait().output_tokens == 1
    assert estimator.close(WAIT_S)
    assert "secret" not in caplog.text
    assert "ValueError" in [vars(record)["error"] for record in caplog.records]


def test_work_is_bounded_over_all_texts_and_extrapolated():
    counted: list[int] = []

    def note(texts: Sequence[str]) -> int:
        counted.extend(map(len, texts))
        return sum(map(len, texts))

    assert module._bounded(note, ["a" * 200_000, "", *["a" * 200_000] * 4]) == 1_000_000
    assert counted == [200_000, COUNTED_CHARS - 200_000]
    assert module._bounded(note, ["", ""]) == 0


# --- the process that counts ---


@pytest.fixture
def counting():
    counting = CountingProcess()
    yield counting
    counting.close()


def child(counting: CountingProcess) -> "subprocess.Popen[bytes]":
    assert counting._child is not None
    return counting._child


def test_the_process_counts_with_the_vocabulary_and_lives_on(counting):
    assert counting._has_loaded(WAIT_S)
    assert counting.count(["antidisestablishmentarianism", "\ud800"]) == 7
    first = child(counting)
    assert counting.count([]) == 0
    assert child(counting) is first
    counting.close()
    assert first.returncode == 0


def test_nobody_waits_while_it_loads(counting, monkeypatch):
    monkeypatch.setattr(module, "python_module", saying("input(); print('ready', flush=True); input()"))
    assert counting.count(["antidisestablishmentarianism"]) == 7  # 28 bytes / 4
    asked = child(counting).stdin
    assert asked is not None
    asked.write(b"\n")
    assert counting._has_loaded(WAIT_S)


def test_after_a_process_that_died_counts_are_rough_for_a_while(counting, monkeypatch, caplog):
    assert counting._has_loaded(WAIT_S)
    child(counting).kill()
    child(counting).wait()
    assert [counting.count(["abcd"]), counting.count(["漢字", "abcde"])] == [1, 4]
    assert [record.msg for record in caplog.records] == ["no process counts tokens: estimates stay rough for a while"]
    counting._rough_until_s = 0.0
    assert counting._has_loaded(WAIT_S)
    assert counting.count(["Hello, world!"]) == 4


def test_the_process_ends_with_the_one_that_started_it(tmp_path: Path):
    """Also when that is killed: its end of the pipe goes with it."""
    script = (
        "from proxy.adapters.estimator import CountingProcess\n"
        "counting = CountingProcess()\n"
        "counting._has_loaded(20)\n"
        "print(counting._child.pid, flush=True)\n"
        "import os, signal\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    told = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=False)
    status = Path(f"/proc/{int(told.stdout)}/stat")
    deadline = Event()
    for _ in range(200):
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        deadline.wait(0.05)
    raise AssertionError("it still runs")


@pytest.mark.parametrize("script", ["", "print('no')"])
def test_a_process_that_is_another_is_not_believed(counting, monkeypatch, caplog, script):
    monkeypatch.setattr(module, "python_module", saying(script))
    assert counting.count(["abcd"]) == 1
    if counting._child is not None:  # else its end was seen at once
        counting._child.wait()
    assert counting.count(["abcd"]) == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_process_that_answers_no_number_is_given_up(counting, monkeypatch, caplog):
    monkeypatch.setattr(module, "python_module", saying("print('ready', flush=True); input(); print('many')"))
    assert counting._has_loaded(WAIT_S)
    assert counting.count(["abcd"]) == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_process_that_does_not_answer_is_given_up(counting, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.01)
    monkeypatch.setattr(module, "python_module", saying("print('ready', flush=True); input(); input()"))
    assert counting._has_loaded(WAIT_S)
    first = child(counting)
    assert counting.count(["abcd"]) == 1
    assert first.returncode is not None


def test_a_text_that_cannot_be_counted_is_not_guessed(counting, monkeypatch):
    monkeypatch.setattr(module, "python_module", saying("print('ready', flush=True); input(); print(-1, flush=True)"))
    assert counting._has_loaded(WAIT_S)
    with pytest.raises(Uncounted):
        counting.count(["abcd"])


def saying(script: str) -> Callable[[str], list[str]]:
    return lambda name: [sys.executable, "-c", script]
