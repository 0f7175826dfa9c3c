"""For every test: nothing leaves this machine, and the same run gives the same result."""

import socket
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None, database=None)
settings.load_profile("steady")

_LOOPBACK = ("127.", "::1", "localhost")


class LeavesTheMachine(AssertionError):
    """A test tried to reach an address that is not loopback."""


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections by this process to any other host fail the test."""

    def guarded(connect: Any) -> Any:
        def connect_checked(sock: socket.socket, address: Any) -> Any:
            if isinstance(address, tuple) and not str(address[0]).startswith(_LOOPBACK):
                raise LeavesTheMachine(f"a test connects to {address[0]}")
            return connect(sock, address)

        return connect_checked

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
