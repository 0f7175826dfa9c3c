"""prompts.lock: the content hash of every version that was ever let out, so that none changes under its id.

A line is `NAME/VERSION sha256:…`; others are empty or begin with `#`. The file is written by `promptlane prompts lock`
and kept in version control. A version that stands there with another hash is refused at load; one that does not stand
there is taken, and told by `promptlane check`. Lines of versions that are gone stay: their ids are spent.
"""

import re

from proxy.config.configuration import Locked
from proxy.config.document import Document
from proxy.config.problems import Problem
from proxy.domain.prompts import PromptBook

LOCK = "prompts.lock"

_LINE = re.compile(r"(?P<prompt>[A-Za-z0-9_.-]+)/(?P<version>[A-Za-z0-9_.-]+) +(?P<hash>sha256:[0-9a-f]{64})")
_HEAD = """\
# The content of each version of config/prompts.yaml, by its hash. Written by `promptlane prompts lock`; commit it.
# A version that has changed is refused: give the new content a new id. The ids of versions that are gone stay spent.
"""


def read_lock(file: str, raw: bytes) -> tuple[dict[tuple[str, str], str], list[Problem]]:
    """What is locked, and what is wrong with the file."""
    locked: dict[tuple[str, str], str] = {}
    problems: list[Problem] = []
    for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            message = "this is no line of a lock; put the file back, and let `promptlane prompts lock` write it"
            problems.append(Problem(file=file, line=number, column=1, message=message))
        elif locked.setdefault((found["prompt"], found["version"]), found["hash"]) != found["hash"]:
            message = "this version is locked twice, with different hashes; keep the line that is true"
            problems.append(Problem(file=file, line=number, column=1, message=message))
    return locked, problems


def hashes(book: PromptBook) -> dict[tuple[str, str], str]:
    """The hash of every version that is configured."""
    return {
        (prompt.name, version.id): version.content_hash
        for prompt in book.prompts.values()
        for version in prompt.versions.values()
    }


def report_changed(document: Document, book: PromptBook, locked: Locked) -> None:
    """Report each version that is not what was locked under its id."""
    for key, content_hash in hashes(book).items():
        if locked.get(key, content_hash) != content_hash:
            prompt, version = key
            document.report(
                ("prompts", prompt, "versions", version),
                "the content of this version has changed since it was locked; give the new content an id of its own, "
                f"and put this one back (if it never ran, delete its line from {LOCK})",
            )


def unlocked(book: PromptBook, locked: Locked) -> list[tuple[str, str]]:
    """Versions whose content is not recorded yet, by the names of prompt and version."""
    return [key for key in hashes(book) if key not in locked]


def lock_text(locked: Locked) -> str:
    """The file."""
    lines = (f"{prompt}/{version} {content_hash}\n" for (prompt, version), content_hash in sorted(locked.items()))
    return _HEAD + "".join(lines)
