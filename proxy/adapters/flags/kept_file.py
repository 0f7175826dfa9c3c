"""The last good definitions, in a file of the data folder: the worker that fetches them writes it, the others read it.

So one fetch serves all workers, and a start decides as before while PostHog is away. The file holds no key, but a
fingerprint of the project that it belongs to: definitions of another project are not taken.
"""

from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson

from proxy.adapters.flags.fetch import Project
from proxy.adapters.state_file import replace_file
from proxy.domain.flag_definitions import kept_of

FILE_NAME = "flag-definitions.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """What the file says."""

    document: dict[str, Any] = field(repr=False)
    etag: str | None


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
    replace_file(path, orjson.dumps(told))


def _fingerprint(project: Project) -> str:
    return blake2b(f"{project.host}\0{project.api_key}".encode(), digest_size=16).hexdigest()
