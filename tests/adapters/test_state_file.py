import threading
from itertools import pairwise
from pathlib import Path

import pytest

from proxy.adapters.state_file import locked, replace_file, signature_of


def test_whoever_has_it_locked_is_alone(tmp_path: Path) -> None:
    path, order = tmp_path / "new" / "state.json", []
    entered = threading.Event()

    def other() -> None:
        entered.set()
        with locked(path):
            order.append("second")

    with locked(path):
        thread = threading.Thread(target=other)
        thread.start()
        entered.wait()
        thread.join(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    replace_file(path, b"one")
    with path.open("rb") as reader:
        replace_file(path, b"two")
        assert reader.read() == b"one"
    assert path.read_bytes() == b"two"
    assert [(each.name, each.stat().st_mode & 0o777) for each in tmp_path.iterdir()] == [("state.json", 0o600)]


def test_what_cannot_be_replaced_stays_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(tmp_path / "state.json", b"one")
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_each_change_has_a_signature_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    found = [signature_of(path)]
    for content in (b"one", b"two", b"one"):
        replace_file(path, content)
        found.append(signature_of(path))
    assert found[0] is None
    assert all(before != after for before, after in pairwise(found))
