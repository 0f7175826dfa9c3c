"""Looks at real files; time passes only by looks."""

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from proxy.config import Changes, Configuration, Places, Refused, Seen
from proxy.config.changes import MOST_LOOKS, UNKNOWN
from proxy.config.load import look
from proxy.config.prompt_lock import LOCK, hashes, lock_text

FIRST = "version: 1\nenvironment: first\n"
SECOND = "version: 1\nenvironment: second\n"
BROKEN = "version: 1\nenviroment: x\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "analytics.yaml"
    file.write_text(FIRST)
    return file


def watching(places: Places) -> Changes:
    """As `serve` begins."""

    def read() -> Seen:
        return look(places.config_dir, places.pricing_file, {})

    return Changes(places, read(), read)


@pytest.fixture
def changes(file: Path) -> Changes:
    """As `serve` begins, and once it has looked: what was loaded is what lies there."""
    places = Places(config_dir=file.parent, pricing_file=file.parent / "pricing.yaml", data_dir=file.parent)
    changes = watching(places)
    assert [changes.look(), changes.look(), changes.look()] == [None, None, None]
    return changes


def looked(changes: Changes) -> Configuration | Refused | None:
    """The news of a change: the first look sees that something moves, the second that it lies still."""
    assert changes.look() is None
    return changes.look()


def environment(news: Configuration | Refused | None) -> str:
    assert isinstance(news, Configuration)
    return news.analytics.environment


def problems(news: Configuration | Refused | None) -> list[str]:
    assert isinstance(news, Refused)
    return [problem.message for problem in news.problems]


def test_a_change_is_told_once(changes: Changes, file: Path) -> None:
    file.write_text(SECOND)
    assert environment(looked(changes)) == "second"
    assert [changes.look(), changes.look()] == [None, None]


def test_what_changed_before_the_first_look_is_told(file: Path) -> None:
    places = Places(config_dir=file.parent, pricing_file=file.parent / "pricing.yaml", data_dir=file.parent)
    changes = watching(places)
    file.write_text(SECOND)
    assert environment(looked(changes)) == "second"


def test_a_file_that_still_grows_is_left_alone(changes: Changes, file: Path) -> None:
    file.write_text(SECOND[:20])
    assert changes.look() is None
    file.write_text(SECOND)
    assert environment(looked(changes)) == "second"


def test_a_file_that_moves_while_it_is_read_is_read_again(
    changes: Changes, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = changes._read

    def disturbed() -> Seen:
        monkeypatch.setattr(changes, "_read", read)
        found = read()
        file.write_text(SECOND)
        return found

    file.write_text("version: 1\nenvironment: half\n")
    monkeypatch.setattr(changes, "_read", disturbed)
    assert looked(changes) is None
    assert environment(looked(changes)) == "second"


def never_at_rest(changes: Changes, file: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """From now on the file changes before each look, and while it is read; what is returned is one look's news."""
    read, numbers = changes._read, count()

    def write() -> None:
        file.write_text(f"version: 1\nenvironment: number-{next(numbers)}\n")

    def disturbed() -> Seen:
        found = read()
        write()
        return found

    def looked_at_once() -> str:
        write()
        news = changes.look()
        return environment(news) if news is not None else ""

    monkeypatch.setattr(changes, "_read", disturbed)
    return looked_at_once


def test_a_file_that_never_rests_is_taken_up_all_the_same(
    changes: Changes, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_at_once = never_at_rest(changes, file, monkeypatch)
    for _ in range(2):
        assert [look_at_once() for _ in range(MOST_LOOKS)] == [""] * MOST_LOOKS
        assert look_at_once().startswith("number-")


def test_a_file_that_is_written_right_then_is_never_taken(
    changes: Changes, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = changes._read
    look_at_once = never_at_rest(changes, file, monkeypatch)
    monkeypatch.setattr(changes, "_read", lambda: replace(read(), marks={file: UNKNOWN}))
    assert {look_at_once() for _ in range(3 * MOST_LOOKS)} == {""}


def test_who_asks_is_told_though_it_goes_on_changing(
    changes: Changes, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_at_rest(changes, file, monkeypatch)
    file.write_text(SECOND)
    assert environment(changes.look(is_asked=True)) == "second"


def test_a_bad_file_is_told_once_and_its_mending_too(changes: Changes, file: Path) -> None:
    file.write_text(BROKEN)
    assert "did you mean `environment`" in problems(looked(changes))[0]
    assert [changes.look(), changes.look()] == [None, None]
    file.write_text(FIRST)
    assert environment(looked(changes)) == "first"


def test_a_touched_file_is_no_change(changes: Changes, file: Path) -> None:
    os.utime(file, (1, 1))
    assert looked(changes) is None


def test_a_file_that_is_replaced_is_seen_whatever_its_time_and_size(changes: Changes, file: Path) -> None:
    """As a mounted volume does that swaps links."""
    other = file.with_suffix(".new")
    other.write_text(FIRST.replace("first", "other"))
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.rename(file)
    assert environment(looked(changes)) == "other"


def test_a_file_that_is_written_over_is_seen_though_time_and_size_are_set_back(changes: Changes, file: Path) -> None:
    """As a tool does that keeps the times of what it copies."""
    before = file.stat()
    file.write_text(FIRST.replace("first", "other"))
    while file.stat().st_ctime_ns == before.st_ctime_ns or file.stat().st_mtime_ns != before.st_mtime_ns:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # the kernel's clock goes in steps
    assert environment(looked(changes)) == "other"


@pytest.mark.parametrize("text", [None, "", "\n"])
def test_a_file_that_is_gone_or_empty_is_no_configuration(changes: Changes, file: Path, text: str | None) -> None:
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    assert problems(looked(changes)) == ["this file is gone or empty; put it back, or restart to run without it"]
    file.write_text(SECOND)
    assert environment(looked(changes)) == "second"


def test_a_new_file_is_taken_up(changes: Changes, file: Path) -> None:
    file.with_name("routing.yaml").write_text("version: 1\nlimits: {drain_s: 7}\n")
    news = looked(changes)
    assert isinstance(news, Configuration)
    assert news.drain_s == 7


def test_who_asks_does_not_wait_for_a_second_look(changes: Changes, file: Path) -> None:
    file.write_text(SECOND)
    assert environment(changes.look(is_asked=True)) == "second"
    assert changes.look(is_asked=True) is None
    file.write_text(BROKEN)
    assert len(problems(changes.look(is_asked=True))) == 1
    assert len(problems(changes.look(is_asked=True))) == 1, "who asks is told again"


PROMPTS = "version: 1\nprompts: {support: {versions: {pv_1: {system: {file: v1.md}}}}}\n"


def texts(news: Configuration | Refused | None) -> list[str | None]:
    assert isinstance(news, Configuration)
    return [version.text for prompt in news.prompts.prompts.values() for version in prompt.versions.values()]


def test_a_text_is_watched_once_prompts_refer_to_it(changes: Changes, file: Path) -> None:
    text = file.parent / "v1.md"
    text.write_text("one")
    (file.parent / "prompts.yaml").write_text(PROMPTS)
    assert texts(looked(changes)) == ["one"]
    text.write_text("two, longer")
    assert texts(looked(changes)) == ["two, longer"]
    assert [changes.look(), changes.look()] == [None, None]


def test_a_text_that_comes_after_its_reference_is_taken_up(changes: Changes, file: Path) -> None:
    (file.parent / "prompts.yaml").write_text(PROMPTS)
    assert "no such file" in problems(looked(changes))[0]
    assert [changes.look(), changes.look()] == [None, None]
    (file.parent / "v1.md").write_text("one")
    assert texts(looked(changes)) == ["one"]


def test_a_text_that_is_lost_is_a_problem_and_no_empty_prompt(changes: Changes, file: Path) -> None:
    (file.parent / "v1.md").write_text("one")
    (file.parent / "prompts.yaml").write_text(PROMPTS)
    assert texts(looked(changes)) == ["one"]
    (file.parent / "v1.md").unlink()
    assert "no such file" in problems(looked(changes))[0]


def test_a_lock_that_forbids_what_changed_keeps_what_runs(changes: Changes, file: Path) -> None:
    (file.parent / "v1.md").write_text("one")
    (file.parent / "prompts.yaml").write_text(PROMPTS)
    running = looked(changes)
    assert isinstance(running, Configuration)
    (file.parent / LOCK).write_text(lock_text(hashes(running.prompts)))
    assert texts(looked(changes)) == ["one"]
    (file.parent / "v1.md").write_text("another")
    assert "has changed since it was locked" in problems(looked(changes))[0]
