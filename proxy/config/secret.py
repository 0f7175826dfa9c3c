"""The installation's secret: from the environment, else from the data folder, where it is made once.

The file appears whole or not at all (written aside, then linked into place), so that several workers that start at
once agree on one secret.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from stat import S_IRWXO

from proxy.config.problems import ConfigError, Problem

VARIABLE = "PROMPTLANE_SECRET"
FILE_NAME = "secret"
_SHORTEST_BYTES = 16


def load_secret(env: Mapping[str, str], data_dir: Path) -> bytes:
    """The secret that keys every HMAC, at least 16 bytes. Raises ConfigError."""
    if (given := given_secret(env)) is not None:
        return given
    path = data_dir / FILE_NAME
    try:
        if not path.exists():
            _create(path)
        if path.stat().st_mode & S_IRWXO:
            raise ConfigError([Problem(file=str(path), message="everybody may read this file; run chmod 600 on it")])
        return _checked(path.read_bytes().strip(), str(path))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "it cannot be read"
        raise ConfigError([Problem(file=str(path), message=f"{reason}; set {VARIABLE} instead")]) from None


def given_secret(env: Mapping[str, str]) -> bytes | None:
    """That of the environment. Raises ConfigError."""
    given = env.get(VARIABLE)
    return _checked(given.encode("utf-8", "surrogateescape"), VARIABLE) if given else None


def _checked(secret: bytes, source: str) -> bytes:
    if len(secret) < _SHORTEST_BYTES:
        raise ConfigError([Problem(file=source, message=f"a secret has at least {_SHORTEST_BYTES} bytes")])
    return secret


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f".{FILE_NAME}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)
    except FileExistsError:
        pass  # another process was first, and its secret stands
    finally:
        aside.unlink()
