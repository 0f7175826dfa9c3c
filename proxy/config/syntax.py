"""What is wrong with a text that is no YAML, in the words of somebody who looks at the file.

The parser says where it could not go on and what it hoped for; here that becomes the mistake that leads there most
often. Nothing of the file is quoted but single signs.
"""

import re

import yaml

Place = tuple[int, int]
"""Line and column, from 1."""

NO_TAGS = "a value is plain text, a number or a truth value; no tags"

_CONFLICT = re.compile(r"^(?:<{7}|>{7}|={7}|\|{7})(?: |$)", re.MULTILINE)
_ALIGN = "align it with its neighbours"
_HERE: tuple[tuple[str, str, str], ...] = (
    (r"character '\\t'", "", "there is a tab here; YAML is indented and spaced with spaces alone"),
    (r"character '(?P<sign>[%@`])'", "", "text that begins with {sign} must be quoted"),
    ("mapping values", ": ", "a second `: ` on one line; quote text that holds one, or start a new line"),
    ("mapping values", r"^\S", "the line above is no `key: value`; write a colon and a space after its key"),
    ("mapping values", "", f"this line is indented further than the one above it allows; {_ALIGN}"),
    (r"<block end>.*'[}\]]'", "", "this bracket closes nothing; take it out"),
    (r"<block end>.*'\?'", "^ *$", "a key stands where a list goes on; indent it below its `- `"),
    ("<block end>.*'(?:-|<block sequence start>)'", "", "a list item stands among keys; indent the list below a key"),
    ("<block end>.*'<block mapping start>'", "", f"this line's indentation fits no line above it; {_ALIGN}"),
    ("<block end>", "", "this does not belong here; quote the whole value, or start a new line"),
    ("expected ',' or", r"\$$", 'quote a variable within {{ }} or [ ]: "${{NAME}}"'),
    (r"expected ',' or .*got '[{\[]'", "", "text that holds {{ or [ must be quoted here"),
    ("or '(?P<sign>[]}])'", "", "expected `,` or `{sign}`: the bracket of line {line}, column {column} is open"),
    ("unknown escape|escape sequence", "", "in double quotes a backslash has a meaning; use single quotes"),
    ("duplicate anchor", "", "an anchor of this name stands above; name this one otherwise"),
    ("alias", "", 'quote what begins with `*`, such as "*": without quotes it is an alias in YAML'),
    ("another document", "", "a second document begins here; a file holds one: take the `---` out"),
    ("<document start>", "", "the file ended at the `...` above; take that out"),
    ("tag", "", NO_TAGS),
)  # fmt: skip
"""What the parser says and what stands before the place on its line (regular expressions) → what to do there."""
_OPENING: tuple[tuple[str, str, str], ...] = (
    ("simple key", "", "expected `key: value` here, with a space after the colon"),
    ("quoted scalar", "", "this quotation mark is never closed"),
)
"""The same, where it is the beginning of the thing that is wrong."""


def explain(error: yaml.MarkedYAMLError, text: str) -> tuple[Place, str]:
    """Where the mistake is and what to do about it."""
    if conflict := _CONFLICT.search(text):
        return place_of(text, conflict.start()), "a merge conflict is left in this file; choose one side"
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return (1, 1), "this is not valid YAML"
    opening = error.context_mark or mark
    said = f"{error.context}; {error.problem}"
    before = text[text.rfind("\n", 0, mark.index) + 1 : mark.index]
    for rules, at in ((_HERE, mark), (_OPENING, opening)):
        for parser, line, message in rules:
            if (found := re.search(parser, said)) and re.search(line, before):
                words = {"line": opening.line + 1, "column": opening.column + 1, **found.groupdict()}
                return (at.line + 1, at.column + 1), message.format(**words)
    return (mark.line + 1, mark.column + 1), "this is not valid YAML; look at the quotes, colons and indentation here"


def place_of(text: str, index: int) -> Place:
    """The place of a character."""
    before = text[:index]
    return before.count("\n") + 1, index - before.rfind("\n")
