"""Where to listen, and what to tell where that cannot be."""

import errno
import os
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Where:
    """The address to listen on, and how many processes share it."""

    host: str
    port: int
    workers: int


def cannot_listen(host: str, port: int, error: OSError) -> str:
    """What to tell when the address cannot be had."""
    if isinstance(error, socket.gaierror):
        return f"cannot listen on {host}: this host name does not resolve; choose another --host"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"cannot listen on {host}: this machine has no such address; choose another --host"
    reason = os.strerror(error.errno) if error.errno else "it cannot be had"
    return f"cannot listen on {host}:{port}: {reason}; choose another --port"
