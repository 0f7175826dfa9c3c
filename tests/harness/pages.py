"""The documentation as data: pages, their fenced blocks, headings and links."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCED = re.compile(r"^```([a-z]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ANCHOR = re.compile(r'<a id="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; `line` is that of its opening fence."""

    language: str
    text: str
    line: int = 0
    is_output: bool = False
    """It stands right below a block of commands: what they print."""


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text()
    end_of_commands = -1
    for found in _FENCED.finditer(text):
        is_output = found[1] == "text" and not text[end_of_commands : found.start()].strip() and end_of_commands > 0
        yield Block(found[1], found[2], text.count("\n", 0, found.start()) + 1, is_output)
        end_of_commands = found.end() if found[1] in ("sh", "python") else -1


def named(page: Path) -> str:
    """The page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """What `page.md#…` may name: the headings as GitHub makes anchors of them, and anchors that are written out."""
    text = _FENCED.sub("", page.read_text())
    seen: Counter[str] = Counter()
    found = set(_ANCHOR.findall(text))
    for heading in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def dead_links(page: Path) -> list[str]:
    """Links of a page to a file, or to an anchor of a page, that is not there."""
    links = [link for link in _LINK.findall(_FENCED.sub("", page.read_text())) if "://" not in link]
    return [link for link in links if not _leads_somewhere(page, *link.partition("#")[::2])]


def _leads_somewhere(page: Path, path: str, anchor: str) -> bool:
    target = (page.parent / path) if path else page
    if not target.exists():
        return False
    return not anchor or (target.suffix == ".md" and anchor in anchors(target))
