import errno
import socket

import pytest

from proxy.cli.where import cannot_listen


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EADDRINUSE, "text"), "cannot listen on h:80: Address already in use; choose another --port"),
        (
            OSError(errno.EADDRNOTAVAIL, "text"),
            "cannot listen on h: this machine has no such address; choose another --host",
        ),
        (OSError("text"), "cannot listen on h:80: it cannot be had; choose another --port"),
        (socket.gaierror(-2, "text"), "cannot listen on h: this host name does not resolve; choose another --host"),
    ],
)
def test_why_the_address_cannot_be_had_is_told_in_our_words(error: OSError, told: str) -> None:
    assert cannot_listen("h", 80, error) == told
