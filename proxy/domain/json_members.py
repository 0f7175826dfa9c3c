"""Where the members of a JSON object stand in its bytes, so that one can be edited and the rest stay as sent.

The scanner finds structure, it does not validate: give it what a JSON parser has accepted. Names are decoded,
so that "mod\\u0065l" is the same member as "model". It does not recurse, and its patterns never look at a
byte more than a few times however the input nests.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import orjson

MEMBERS_LIMIT = 10_000
"""More members than this in one object are refused: no model call has them."""

_INLINED_LEVELS = 5
_STRING = rb'"[^"]*+"'


def _run_of_values(levels: int) -> bytes:
    """A pattern for scalars, strings, and nested values up to `levels` deep."""
    nested = rb"|[{\[]" + _run_of_values(levels - 1) + rb"[}\]]" if levels else b""
    return rb'(?:[^"{}\[\]]++|' + _STRING + nested + rb")*+"


_TO_BRACKET = re.compile(_run_of_values(_INLINED_LEVELS))
"""Runs to the next bracket that opens something nested more deeply, or closes what is open."""
_OPEN = re.compile(rb"\s*\{\s*")
_NAME = re.compile(rb"\s*(" + _STRING + rb")\s*:\s*")
_SCALAR = re.compile(_STRING + rb'|[^\s,{}\[\]"]++')
_NEXT = re.compile(rb"\s*([,}])")
_TEXT_BEHIND_NAME = re.compile(rb'\s*:\s*("(?:[^"\\]|\\.)*+")')
_OPEN_ARRAY = re.compile(rb"\s*\[\s*")
_NEXT_ITEM = re.compile(rb"\s*([,\]])\s*")


class Member(NamedTuple):
    """One member. Offsets into the bytes: `start` of its quoted name, and its value from start up to end."""

    name: str
    start: int
    value_start: int
    value_end: int


def top_level_members(body: bytes) -> list[Member]:
    """The members of the object that `body` is, in order, duplicates kept.

    Raises ValueError if it is no whole JSON object or has more than `MEMBERS_LIMIT` members.
    """
    masked = _without_escapes(body)
    opening = _OPEN.match(masked)
    if opening is None:
        raise ValueError("not a JSON object")
    members: list[Member] = []
    position = opening.end()
    if body[position : position + 1] == b"}":
        return members
    while len(members) < MEMBERS_LIMIT:
        name = _NAME.match(masked, position)
        if name is None:
            raise ValueError("a member name was expected")
        value_end = _end_of_value(masked, name.end())
        quoted = body[name.start(1) : name.end(1)]
        members.append(Member(orjson.loads(quoted), name.start(1), name.end(), value_end))
        separator = _NEXT.match(masked, value_end)
        if separator is None:
            raise ValueError("a comma or the end of the object was expected")
        if separator[1] == b"}":
            return members
        position = separator.end()
    raise ValueError("too many members")


def only_text(body: bytes, name: str) -> Member | None:
    """A member that the object has, as a parser says, and that is a text, where its quoted name stands once in all of
    `body`: then that is where, and the scanner need not be asked. None where it must be. `name` is of small letters.
    """
    quoted = b'"%b"' % name.encode()
    if body.count(quoted) != 1 or has_escaped_letters(body):
        return None
    start = body.index(quoted)
    found = _TEXT_BEHIND_NAME.match(body, start + len(quoted))
    return found and Member(name, start, *found.span(1))


def has_escaped_letters(body: bytes) -> bool:
    """True where a name of small letters, a to z, may stand with one of them spelt by its number, as `\\u006d`."""
    return b"\\u00" in body and (b"\\u006" in body or b"\\u007" in body)


def duplicate_keys(body: bytes) -> set[str]:
    """Names that occur more than once in the top-level object. Raises ValueError as `top_level_members`."""
    seen: set[str] = set()
    duplicates: set[str] = set()
    for member in top_level_members(body):
        (duplicates if member.name in seen else seen).add(member.name)
    return duplicates


def array_items(array: bytes) -> Iterator[tuple[int, int]]:
    """Where each item of the array starts and ends, one after the other. Raises ValueError if it is no JSON array."""
    masked = _without_escapes(array)
    opening = _OPEN_ARRAY.match(masked)
    if opening is None:
        raise ValueError("not a JSON array")
    position = opening.end()
    while masked[position : position + 1] != b"]":
        end = _end_of_value(masked, position)
        yield position, end
        separator = _NEXT_ITEM.match(masked, end)
        if separator is None:
            raise ValueError("a comma or the end of the array was expected")
        if separator[1] == b"]":
            return
        position = separator.end()


class Edit(NamedTuple):
    """Bytes from `start` up to `end` that give way to `new`."""

    start: int
    end: int
    new: bytes


def changed_members(
    body: bytes, members: Sequence[Member], put: Mapping[str, bytes], drop: Collection[str] = ()
) -> list[Edit]:
    """What gives the object `body`, whose `members` these are, the values of `put`, and takes the names in `drop` out.

    A name that stands there more than once gets the value each time, so that all parsers read the same; one that is
    missing comes last. All else, white space too, stays as it is.
    """
    edits = [
        Edit(member.value_start, member.value_end, put[member.name])
        for member in members
        if member.name in put and member.name not in drop
    ]
    kept = [member for member in members if member.name not in drop]
    edits += [
        Edit(member.start, following.start, b"")
        for member, following in pairwise(members)
        if member.name in drop and kept and member.start < kept[-1].start
    ]
    end = members[-1].value_end if members else body.index(b"{") + 1
    if members and (not kept or kept[-1] != members[-1]):
        edits.append(Edit(kept[-1].value_end if kept else members[0].start, end, b""))
    present = {member.name for member in kept}
    added = [b"%b:%b" % (orjson.dumps(name), value) for name, value in put.items() if name not in present]
    if added:
        edits.append(Edit(end, end, b",".join(([b""] if kept else []) + added)))
    return edits


def appended(body: bytes, name: str, value: bytes) -> Edit:
    """What gives the object a member more, behind those that it has."""
    close = body.rindex(b"}")
    end = len(body[:close].rstrip())
    member = b"%b:%b" % (orjson.dumps(name), value)
    return Edit(close, close, member) if body[end - 1 : end] == b"{" else Edit(end, end, b"," + member)


def spliced(body: bytes, edits: Iterable[Edit]) -> bytes:
    """`body` after edits that do not overlap; no other byte changes."""
    pieces: list[bytes] = []
    copied = 0
    for edit in sorted(edits):
        pieces += (body[copied : edit.start], edit.new)
        copied = edit.end
    return b"".join([*pieces, body[copied:]])


def _without_escapes(body: bytes) -> bytes:
    """The same length with escaped backslashes and quotes blotted out: every quote left is a delimiter."""
    if b"\\" not in body:
        return body
    return body.replace(b"\\\\", b"__").replace(b'\\"', b"__")


def _end_of_value(masked: bytes, start: int) -> int:
    if masked[start : start + 1] not in (b"{", b"["):
        scalar = _SCALAR.match(masked, start)
        if scalar is None:
            raise ValueError("a value was expected")
        return scalar.end()
    depth = 1
    position = start + 1
    while depth:
        position = _TO_BRACKET.match(masked, position).end()  # type: ignore[union-attr] # it matches emptiness, too
        bracket = masked[position : position + 1]
        if not bracket or bracket == b'"':
            raise ValueError("the object is not closed")
        depth += 1 if bracket in b"{[" else -1
        position += 1
    return position
