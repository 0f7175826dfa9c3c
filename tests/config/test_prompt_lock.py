from pathlib import Path

import pytest

from proxy.config import ConfigError, Configuration
from proxy.config.load import load
from proxy.config.prompt_lock import LOCK, hashes, lock_text, read_lock, unlocked

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def loaded(folder: Path, text: str) -> Configuration:
    (folder / "prompts.yaml").write_text(f"version: 1\nprompts: {{support: {{default: pv_1, versions: {text}}}}}")
    return load(folder, folder / "pricing.yaml", {})


def test_what_is_written_is_read() -> None:
    locked = {("support", "pv_2"): B, ("support", "pv_1"): A, ("a.b-c", "1"): A}
    text = lock_text(locked)
    assert read_lock(LOCK, text.encode()) == (locked, [])
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        f"a.b-c/1 {A}", f"support/pv_1 {A}", f"support/pv_2 {B}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line", ["support/pv_1", f"support {A}", f"support/pv_1 {A[:-1]}", f"/pv_1 {A}", "<<<<<<< HEAD"]
)
def test_other_lines_are_told(line: str) -> None:
    locked, (problem,) = read_lock(LOCK, f"# a comment\n\n{line}\nsupport/pv_2 {B}\n".encode())
    assert locked == {("support", "pv_2"): B}
    assert (problem.file, problem.line) == (LOCK, 3)


def test_the_same_line_twice_is_none_too_many() -> None:
    """Two branches may have locked the same version."""
    assert read_lock(LOCK, f"s/pv_1 {A}\ns/pv_1 {A}\n".encode()) == ({("s", "pv_1"): A}, [])


def test_a_locked_version_may_not_change_and_others_may_come_and_go(tmp_path: Path) -> None:
    first = loaded(tmp_path, "{pv_1: {system: a}, pv_2: {system: b}}")
    (tmp_path / LOCK).write_text(lock_text(hashes(first.prompts)))
    later = loaded(tmp_path, "{pv_1: {system: a}, pv_3: {system: c}}")
    assert unlocked(later.prompts, later.locked) == [("support", "pv_3")]
    with pytest.raises(ConfigError, match=r"versions\.pv_1: the content of this version has changed"):
        loaded(tmp_path, "{pv_1: {system: A}}")
    with pytest.raises(ConfigError, match=r"versions\.pv_2: the content of this version has changed"):
        loaded(tmp_path, "{pv_1: {system: a}, pv_2: {system: another text under a spent id}}")


def test_without_a_lock_everything_may_change(tmp_path: Path) -> None:
    loaded(tmp_path, "{pv_1: {system: a}}")
    assert loaded(tmp_path, "{pv_1: {system: b}}").locked == {}
