"""With real processes, and with none to be had."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.reading import PATIENCE_S, begin_first_look, look_again
from proxy.cli.workers import KeptConfiguration
from proxy.config import Changes, ConfigError, Configuration, Places, Refused, Seen
from proxy.config import load as config_loading
from proxy.config.json_schema import FILES
from proxy.config.load import load, look
from proxy.domain.price_book import PriceBook
from tests.harness.pages import ROOT, blocks

ENVIRONMENT = {"OPENAI_API_KEY": "sk-ours", "LOCAL_KEY": "local", "PROMPTLANE_ALERT_WEBHOOK": "https://h.example/x"}


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """The configuration of the documentation, which uses most of what there is."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "support_v1.md").write_text("Help {{customer}}.")
    examples = [block.text for block in blocks(ROOT / "docs" / "configuration.md") if block.language == "yaml"]
    for name, text in zip(FILES, examples, strict=True):
        (tmp_path / f"{name}.yaml").write_text(text)
    return Places(config_dir=tmp_path, pricing_file=tmp_path / "pricing.yaml", data_dir=tmp_path)


def first(places: Places) -> Seen:
    return begin_first_look(places, os.environ, None)()


def same(one: object, other: object) -> bool:
    """By value, also where two books of prices are equal only to themselves."""
    if isinstance(one, Configuration):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, PriceBook) and isinstance(other, PriceBook):
        return (one.rules, one.table, one.version) == (other.rules, other.table, other.version)
    return one == other


each_way = pytest.mark.parametrize("read", [first, look_again])


@each_way
def test_another_process_sees_what_we_would(places: Places, read: Callable[[Places], Seen]) -> None:
    seen, here = read(places), look(places.config_dir, places.pricing_file, os.environ)
    assert seen.marks == here.marks
    assert same(seen.usable(), here.usable())


@each_way
def test_what_is_wrong_is_told_in_full(places: Places, read: Callable[[Places], Seen]) -> None:
    (places.config_dir / "analytics.yaml").write_text("version: 2\nenviroment: x\n")
    with pytest.raises(ConfigError) as told:
        read(places).usable()
    with pytest.raises(ConfigError) as here:
        look(places.config_dir, places.pricing_file, os.environ).usable()
    assert told.value.problems == here.value.problems


def pid_of(seen: Seen) -> int:
    return int(next(iter(seen.marks)).name)


def marked_with_its_pid(*_: object) -> Seen:
    return Seen({Path(str(os.getpid())): None}, Refused([]))


def test_a_copy_of_us_looks_first(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_loading, "look", marked_with_its_pid)
    assert pid_of(first(places)) != os.getpid()


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Why it was read here, by the lines of the log that say that it was."""
    return [vars(record)["reason"] for record in caplog.records if "it is read here" in record.msg]


def test_where_no_process_can_be_had_we_look_first(
    places: Places, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_process(*_: object, **__: object) -> int:
        raise BlockingIOError

    monkeypatch.setattr(config_loading, "look", marked_with_its_pid)
    monkeypatch.setattr(os, "fork", no_process)
    assert pid_of(first(places)) == os.getpid()
    assert reasons(caplog) == ["BlockingIOError"]


def test_what_cannot_be_handed_over_is_read_here_and_the_log_says_so(
    places: Places, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unpicklable: Any = lambda: None  # noqa: E731
    monkeypatch.setattr(config_loading, "look", lambda *_: Seen({Path("a"): unpicklable}, Refused([])))
    assert first(places).marks == {Path("a"): unpicklable}
    assert reasons(caplog) == ["exit code 1"]


def test_where_the_copy_breaks_we_look_first(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = os.getpid()

    def only_here(*_: object) -> Seen:
        assert os.getpid() == ours
        return marked_with_its_pid()

    monkeypatch.setattr(config_loading, "look", only_here)
    assert pid_of(first(places)) == ours


DIES_MEANWHILE = """
import os, sys
from proxy.cli.reading import begin_first_look
from proxy.config import find_places

begin_first_look(find_places({}, config=sys.argv[1]), os.environ, None)
os._exit(0)
"""


def test_a_copy_ends_though_we_were_killed_meanwhile(tmp_path: Path) -> None:
    """Its output ends when both have."""
    command = [sys.executable, "-P", "-c", DIES_MEANWHILE, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE_S).stdout == b""


def test_a_program_looks_again(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_loading, "look", marked_with_its_pid)
    assert look_again(places).usable().files


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (BlockingIOError(), "BlockingIOError"),
        (subprocess.CalledProcessError(-9, "killed"), "exit code -9"),
        (subprocess.TimeoutExpired("slow", 30), "TimeoutExpired"),
    ],
)
def test_where_there_is_no_program_we_look_again(
    places: Places, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failure: Exception, reason: str
) -> None:
    def no_program(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(config_loading, "look", marked_with_its_pid)
    monkeypatch.setattr(subprocess, "run", no_program)
    assert pid_of(look_again(places)) == os.getpid()
    assert reasons(caplog) == [reason]


def test_a_worker_begins_with_what_lies_there_or_else_with_what_the_others_run(tmp_path: Path) -> None:
    """It keeps what it begins with, else one that dies later would come back with what was there before."""
    places = Places(config_dir=tmp_path, pricing_file=tmp_path / "pricing.yaml", data_dir=tmp_path)
    kept = KeptConfiguration(tmp_path)
    kept.keep(load(places.config_dir, places.pricing_file, {}))
    analytics = tmp_path / "analytics.yaml"
    analytics.write_text("version: 1\nenvironment: second\n")
    second = begin_first_look(places, {}, kept)().usable()
    assert second.analytics.environment == "second"
    for unusable in ("version: 1\nenviroment: x\n", "\n", None):
        analytics.unlink() if unusable is None else analytics.write_text(unusable)
        seen = begin_first_look(places, {}, kept)()
        assert seen.usable().digest == second.digest
        changes = Changes(places, seen, lambda: look(places.config_dir, places.pricing_file, {}))
        assert changes.look() is None
        assert isinstance(changes.look(), Refused), "what lies there is told of"
    assert begin_first_look(places, {}, None)().usable().digest != second.digest


def test_what_is_kept_and_broken_is_nothing(tmp_path: Path) -> None:
    places = Places(config_dir=tmp_path, pricing_file=tmp_path / "pricing.yaml", data_dir=tmp_path)
    (tmp_path / "configuration.json").write_text("{")
    assert begin_first_look(places, {}, KeptConfiguration(tmp_path))().usable().digest
