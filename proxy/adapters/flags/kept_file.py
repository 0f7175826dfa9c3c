"""The last good definitions, in a file of the data folder: the worker that fetches them writes it, the others read it.

So one fetch serves all workers, and a start decides as before while PostHog is away. The file holds no key, but a
fingerprint of the project that it belongs to: definitions of another project are not taken.
"""

import os
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson

from proxy.adapters.flags.fetch import Project
from proxy.domain.flag_definitions import kept_of

FILE_NAME = "flag-definitions.json"
_VERSION = 1
Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Kept:
    """What the file says."""

    document: dict[str, Any] = field(repr=False)
    etag: str | None


def signature_of(path: Path) -> Signature | None:
    """Differs after each change of the file; None where there is none."""
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_ino, told.st_mtime_ns, told.st_size


def read_kept(path: Path, project: Project) -> Kept | None:
    """None where there is no file, or one that is of no use here."""
    try:
        told = orjson.loads(path.read_bytes())
        if told["v"] != _VERSION or told["project"] != _fingerprint(project):
            return None
        etag = told["etag"]
        return Kept(kept_of(told["definitions"]), etag if isinstance(etag, str) else None)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_kept(path: Path, project: Project, kept: Kept) -> None:
    """Replace the file at once. Raises OSError."""
    told = {"v": _VERSION, "project": _fingerprint(project), "etag": kept.etag, "definitions": kept.document}
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(orjson.dumps(told))
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def _fingerprint(project: Project) -> str:
    return blake2b(f"{project.host}\0{project.api_key}".encode(), digest_size=16).hexdigest()
