"""Values as YAML text that `document` reads back as the same values: for files that people go on with by hand.

A library's dump knows no comments and no taste: here short entries stand on one line, and text is quoted only where
it must be. `${NAME}` in a value is a variable to our reader: text that has it by chance cannot be written.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from textwrap import wrap

import yaml

Plain = str | int | bool | Decimal | None | Sequence["Plain"] | Mapping[str, "Plain"]

_BARE = re.compile(
    r"(?:https?://)?[A-Za-z_][A-Za-z0-9_./-]*|https?://[A-Za-z0-9_./-]+(?::[0-9]+)?(?:/[A-Za-z0-9_./-]*)?"
)
_WIDTH = 118


def scalar(value: str | int | bool | Decimal | None) -> str:
    """One value, quoted where YAML would read it as something else; a Decimal in plain digits."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value if _is_bare(value) else f'"{"".join(map(_escaped, value))}"'


def _is_bare(text: str) -> bool:
    if _BARE.fullmatch(text) is None:
        return False
    tag = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return bool(tag == "tag:yaml.org,2002:str")


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def flow(value: Plain) -> str:
    """A value on one line: `{provider: openai, weight: 9}`, `[connect, "429"]`."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{scalar(key)}: {flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(flow, value))}]"
    return scalar(value)


def printable(text: str) -> str:
    """The text on one line, without what could steer a terminal or end a comment."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))


def comment(text: str, *, indent: str = "", hanging: str = "") -> Iterator[str]:
    """Lines of a comment, wrapped; `hanging` is put before all but the first."""
    yield from wrap(
        printable(text),
        width=_WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# {hanging}",
        break_long_words=False,
        break_on_hyphens=False,
    )
