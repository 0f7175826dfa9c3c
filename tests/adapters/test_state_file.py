import threading
from pathlib import Path

from proxy.adapters.state_file import locked, replace_file


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
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]
