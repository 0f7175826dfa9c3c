"""docs/configuration-reference.md: every variable, and every key as the schemas have it."""

from collections.abc import Iterator
from typing import Any

from proxy.config.json_schema import FILES, json_schema
from proxy.config.presets import PRESETS
from proxy.config.variables import VARIABLES

PLACES = {
    "routing": "config/routing.yaml",
    "analytics": "config/analytics.yaml",
    "pricing": "pricing.yaml",
    "prompts": "config/prompts.yaml",
    "alerts": "config/alerts.yaml",
}
SHARED_FROM = 5
"""So many keys that a section shares with an earlier one are named and not told again."""

_HEAD = """<!-- Made by `make docs` from proxy/config; edit that. -->
# Configuration reference

Every key of the five files, and every environment variable. How they are used, with examples: see
[configuration](configuration.md). An editor with a YAML language server shows the same texts: see `promptlane schema`.

`NAME` stands for a name that you choose, `[]` for each entry of a list. `${NAME}` and `${NAME:-default}` read the
environment in any value.
"""

Schema = dict[str, Any]


def reference_page() -> str:
    """The page as the code has it."""
    parts = [_HEAD, *_variables()]
    schemas = {name: json_schema(name) for name in FILES}
    for name, schema in schemas.items():
        parts += _File(schema).lines(PLACES[name])
    return "\n".join([*parts, *_presets(), *_types(schemas)]) + "\n"


def _variables() -> list[str]:
    rows = [f"| `{each.name}` | {_code(each.default)} | {each.meaning} |" for each in VARIABLES]
    return ["## Environment", "", "| variable | default | meaning |", "|---|---|---|", *rows]


def _presets() -> list[str]:
    rows = [
        f"| `{name}` | `{preset.kind}` | {_code(preset.base_url or '') or 'to be written'} | `{preset.include_usage}` |"
        for name, preset in PRESETS.items()
    ]
    return ["", "## Presets", "", "| `preset` | `kind` | `base_url` | `include_usage` |", "|---|---|---|---|", *rows]


class _File:
    """The sections of one file, in the order in which they are met."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._definitions: dict[str, Schema] = schema.get("$defs", {})
        self._paths: dict[str, str] = {}
        """The first path of each definition."""
        self._told: list[tuple[str, Schema]] = []
        """Path and keys of each section so far."""

    def lines(self, place: str) -> Iterator[str]:
        """The file's part of the page."""
        yield from ["", f"## {place}", "", self._schema["description"], ""]
        yield from self._table(self._schema, "")
        waiting = self._sections_of(self._schema, "")
        while waiting:
            path, definition = waiting.pop(0)
            section = self._definitions[definition]
            yield from ["", f"### `{path}`", "", section["description"], ""]
            yield from self._table(section, path)
            waiting = self._sections_of(section, f"{path}.") + waiting

    def _sections_of(self, section: Schema, prefix: str) -> list[tuple[str, str]]:
        """(path, definition) of the sections right below that no earlier path has told."""
        found = []
        for key, entry in section["properties"].items():
            inner, suffix = _inner(entry)
            if "$ref" in inner and (name := _definition(inner)) not in self._paths:
                self._paths[name] = f"{prefix}{key}{suffix}"
                found.append((self._paths[name], name))
        return found

    def _table(self, section: Schema, path: str) -> Iterator[str]:
        properties = section["properties"]
        shared_with, shared = self._shared(properties)
        self._told.append((path, properties))
        yield from ["| key | type | default | range or values | meaning |", "|---|---|---|---|---|"]
        for key, entry in properties.items():
            if key not in shared:
                default = "required" if key in section.get("required", ()) else _default(entry)
                meaning = entry.get("description") or self._definitions[_definition(_inner(entry)[0])]["description"]
                yield f"| `{key}` | {self._type(entry, key, path)} | {default} | {_range(entry)} | {meaning} |"
        if shared:
            yield from ["", f"And as in {_link(shared_with)}: {', '.join(f'`{key}`' for key in shared)}."]

    def _shared(self, properties: Schema) -> tuple[str, list[str]]:
        """The earlier section that has most of these keys, and which."""
        counted = [
            (path, [key for key, entry in properties.items() if told.get(key) == entry]) for path, told in self._told
        ]
        path, shared = max(counted, key=lambda found: len(found[1]), default=("", []))
        return (path, shared) if len(shared) >= SHARED_FROM else ("", [])

    def _type(self, entry: Schema, key: str, path: str) -> str:
        inner, suffix = _inner(entry)
        if "$ref" in inner:
            own = self._paths.get(_definition(inner), f"{path}.{key}{suffix}".removeprefix("."))
            word = _link(own)
        else:
            word = _word(inner)
        match suffix:
            case "[]":
                return f"list of {word}"
            case ".NAME":
                return f"mapping of {entry.get('propertyNames', {}).get('title', 'name')} to {word}"
        return word


def _inner(entry: Schema) -> tuple[Schema, str]:
    """What a list or a mapping of names holds, and how a path shows that; else the entry itself, or what it is if not
    null."""
    reference = next((choice for choice in entry.get("anyOf", ()) if "$ref" in choice), None)
    if reference is not None:
        return reference, ""
    if "items" in entry:
        return entry["items"], "[]"
    if isinstance(entry.get("additionalProperties"), dict):
        return entry["additionalProperties"], ".NAME"
    return entry, ""


def _definition(reference: Schema) -> str:
    name: str = reference["$ref"].rpartition("/")[2]
    return name


def _word(entry: Schema) -> str:
    if "title" in entry:
        return str(entry["title"])
    if "anyOf" in entry:
        return "one of"
    kinds = entry["type"] if isinstance(entry["type"], list) else [entry["type"]]
    words = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}
    return next(words[kind] for kind in kinds if kind in words)


def _default(entry: Schema) -> str:
    default = entry.get("default")
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, list):
        return f"`[{', '.join(map(str, default))}]`"
    return _code("" if default is None else str(default))


def _range(entry: Schema) -> str:
    inner, _ = _inner(entry)
    if "anyOf" in inner:
        choice = inner["anyOf"][0]
        values = choice.get("enum") or [choice["const"]]
        return ", ".join(_code(str(value)) for value in values if value is not None)
    if "patternErrorMessage" in inner:
        return ""
    low, high = inner.get("minimum"), inner.get("maximum")
    bounds = []
    if "exclusiveMinimum" in inner:
        bounds.append(f"above {inner['exclusiveMinimum']:,}")
    if low is not None and high is not None:
        return f"{low:,} to {high:,}"
    if high is not None:
        bounds.append(f"at most {high:,}")
    if low is not None:
        bounds.append(f"at least {low:,}")
    if "maxItems" in entry:
        bounds.append(f"{entry.get('minItems', 0)} to {entry['maxItems']} entries")
    return ", ".join(bounds)


def _types(schemas: dict[str, Schema]) -> list[str]:
    """What the types take whose names do not say it."""
    hints: dict[str, str] = {}
    for schema in schemas.values():
        for section in (schema, *schema["$defs"].values()):
            for entry in section["properties"].values():
                for each in (_inner(entry)[0], entry.get("propertyNames", {})):
                    if "patternErrorMessage" in each:
                        hints[each["title"]] = each["patternErrorMessage"]
    rows = [f"- *{title}*: {hint}." for title, hint in sorted(hints.items())]
    return ["", "## Types of text", "", *rows]


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _link(path: str) -> str:
    anchor = "".join(char for char in path.lower() if char.isalnum() or char in "_- ")
    return f"[`{path}`](#{anchor})"
