import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from proxy.adapters import trace_export
from proxy.adapters.trace_export import ALARM_S, TraceExport, TraceSettings
from tests.harness.call import PATIENCE_S

DIED = "the process that exports traces has died: it is started again"


def settings(directory: Path) -> TraceSettings:
    return TraceSettings(
        directory=directory, environment="staging", step_event="llm_agent_step", every_s=5.0, batch_spans=512
    )


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Makes a module of a child out of its body; it has `settings`, `say` and `end`."""

    def made(body: str) -> str:
        folder = tmp_path / "modules"
        folder.mkdir(exist_ok=True)
        start = """
            import json, sys, time
            settings = json.loads(sys.stdin.readline())
            def say(lost, is_failing=False, oldest=None):
                print(json.dumps({"lost": lost, "is_failing": is_failing, "oldest_unix_us": oldest}), flush=True)
            def end():
                sys.stdin.read()
        """
        (folder / "scripted_child.py").write_text(textwrap.dedent(start) + textwrap.dedent(body))
        monkeypatch.setenv("PYTHONPATH", f"{folder}")
        return "scripted_child"

    return made


def wait_for(is_there: Callable[[], bool]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not is_there():
        assert time.monotonic() < until_s
        time.sleep(0.005)


def test_the_child_is_told_its_settings_and_hears_of_the_end(tmp_path: Path, child: Callable[[str], str]) -> None:
    (tmp_path / "said").touch()
    module = child(
        """
        say(3, True, 5_000_000)
        end()
        from pathlib import Path
        Path(settings["directory"], "said").write_text(json.dumps(settings))
        say(4)
        """
    )
    now_s = 0.0
    export = TraceExport(settings(tmp_path), module, lambda: now_s, lambda: 65.0)
    wait_for(lambda: export.lost_spans == 3)
    wait_for(lambda: export.lag_s == 60.0)
    alarms = [export.is_alarming]
    now_s = ALARM_S
    alarms.append(export.is_alarming)
    assert alarms == [False, True]
    export.stop()
    assert orjson.loads((tmp_path / "said").read_bytes()) == orjson.loads(settings(tmp_path).line())
    assert (export.lost_spans, export.lag_s) == (4, 0.0)


def test_a_child_that_dies_is_started_again_and_what_was_lost_adds_up(
    tmp_path: Path, child: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(trace_export, "PAUSES_S", (0.001, 0.01))
    export = TraceExport(settings(tmp_path), child("say(2)"))
    wait_for(lambda: export.lost_spans >= 4)
    export.stop()
    assert DIED in {record.message for record in caplog.records}


def test_a_child_that_never_speaks_is_worth_an_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now_s = 0.0
    export = TraceExport(settings(tmp_path), "no_such_module", lambda: now_s)
    wait_for(lambda: DIED in {record.message for record in caplog.records})
    now_s = ALARM_S
    assert export.is_alarming
    export.stop()


def test_a_child_that_does_not_end_is_killed(
    tmp_path: Path, child: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_export, "STOP_S", 0.05)
    export = TraceExport(settings(tmp_path), child("say(1)\ntime.sleep(600)"))
    wait_for(lambda: export.lost_spans == 1)
    pid = export._child.pid if export._child is not None else 0
    export.stop()
    wait_for(lambda: not Path(f"/proc/{pid}").exists())


def test_an_end_before_the_child_has_begun_is_an_end(tmp_path: Path, child: Callable[[str], str]) -> None:
    export = TraceExport(settings(tmp_path), child("end()"))
    export.stop()
    assert not export._thread.is_alive()
