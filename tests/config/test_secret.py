import stat
import threading
from pathlib import Path

import pytest

from proxy.config import ConfigError, load_secret


def test_the_environment_wins(tmp_path: Path) -> None:
    assert load_secret({"PROMPTLANE_SECRET": "0123456789abcdef"}, tmp_path) == b"0123456789abcdef"
    assert list(tmp_path.iterdir()) == []


def test_a_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    secret = load_secret({}, data)
    assert len(secret) == 64
    assert load_secret({}, data) == secret
    assert stat.S_IMODE((data / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert [path.name for path in data.iterdir()] == ["secret"]


def test_all_who_start_at_once_get_the_same_secret(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)
    found: list[bytes] = []

    def start() -> None:
        barrier.wait()
        found.append(load_secret({}, tmp_path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_short_secret_is_refused_and_not_echoed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_secret({"PROMPTLANE_SECRET": "swordfish"}, tmp_path)
    assert str(caught.value) == "PROMPTLANE_SECRET: a secret has at least 16 bytes"
    (tmp_path / "secret").write_text("\n")
    (tmp_path / "secret").chmod(0o600)
    with pytest.raises(ConfigError, match="at least 16 bytes"):
        load_secret({}, tmp_path)


def test_a_secret_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    load_secret({}, tmp_path)
    (tmp_path / "secret").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_secret({}, tmp_path)


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="set PROMPTLANE_SECRET instead"):
        load_secret({}, tmp_path / "file" / "data")
