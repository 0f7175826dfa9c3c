"""JSON Schemas of the configuration files, for editors: what the loader takes, said in their language.

They are made from the models, whose docstrings become the texts that hover. A text with `${…}` in it stands for any
scalar, since only the environment knows its value. What spans several keys, such as references, is left to
`promptlane check`. Editors read YAML 1.2, in which `on` and `yes` are text: they ask for true and false where the
loader takes both.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from importlib.resources import files
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from proxy.config.alerts import AlertsFile
from proxy.config.analytics import AnalyticsFile
from proxy.config.fields import SIZE, Section, size_text
from proxy.config.prices import PricingFile
from proxy.config.prompts import PromptsFile
from proxy.config.routing import RoutingFile

FILES: Mapping[str, type[Section]] = {
    "routing": RoutingFile,
    "analytics": AnalyticsFile,
    "prompts": PromptsFile,
    "alerts": AlertsFile,
    "pricing": PricingFile,
}
"""The models by the name of their file."""

_VARIABLE = r"\$\{"
_NUMBER = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"
_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_COUNTS = {"min_length": "minProperties", "max_length": "maxProperties"}
_SCALARS = {"integer", "number", "boolean"}


def json_schema(name: str) -> dict[str, Any]:
    """The schema of one of `FILES`."""
    made = _with_variables(FILES[name].model_json_schema(schema_generator=_Generator))
    return {"$schema": _Generator.schema_dialect, "title": f"Promptlane: {name}.yaml", **made}


def shipped_text(name: str) -> str:
    """The schema as the package brings it, which a test holds to `schema_text`."""
    return (files("proxy.config") / "schemas" / file_name(name)).read_text(encoding="utf-8")


def schema_text(name: str) -> str:
    """The schema as its file is to be: `make docs` writes it."""
    return json.dumps(json_schema(name), indent=2, ensure_ascii=False) + "\n"


def editor_line(name: str) -> str:
    """The comment by which an editor finds the schema, for the first line of the file in its usual place."""
    folder = "config/schemas" if name == "pricing" else "schemas"
    return f"# yaml-language-server: $schema={folder}/{file_name(name)}"


def schema_files() -> dict[str, str]:
    """All schemas, by the path to which the editor lines lead."""
    return {f"config/schemas/{file_name(name)}": shipped_text(name) for name in FILES}


def file_name(name: str) -> str:
    """What the schema's file is called."""
    return f"{name}.schema.json"


class _Generator(GenerateJsonSchema):
    """As pydantic does it, less its titles, and with defaults as people write them."""

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:  # noqa: ARG002
        return value

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return {key: value for key, value in super().model_schema(schema).items() if key != "title"}

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        limits = {keyword: _plain(schema[limit]) for limit, keyword in _LIMITS.items() if limit in schema}  # type: ignore[literal-required]
        return {"type": ["number", "string"], "pattern": _NUMBER, **limits}

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        made = self.generate_inner(schema["schema"])
        if "$ref" in made:
            return {"anyOf": [made, {"type": "null"}]}
        if "enum" in made:
            made["enum"] = [*made["enum"], None]
        if "const" in made:
            made["enum"] = [made.pop("const"), None]
        kinds = made.get("type", [])
        return {**made, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        keys = self.generate_inner(schema["keys_schema"])
        return {
            "type": "object",
            "additionalProperties": self.generate_inner(schema["values_schema"]),
            **({"propertyNames": keys} if len(keys) > 1 else {}),
            **{keyword: schema[limit] for limit, keyword in _COUNTS.items() if limit in schema},  # type: ignore[literal-required]
        }

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = self.generate_inner(schema["schema"])
        default = schema.get("default")
        if default is None or isinstance(default, Section):
            return made
        return {**made, "default": size_text(default) if made.get("title") == SIZE else _plain(default)}


def _plain(value: object) -> Any:  # noqa: ANN401
    """A default or a limit as JSON has it."""
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return list(value) if isinstance(value, tuple) else value


def _with_variables(node: JsonSchemaValue) -> JsonSchemaValue:
    """The schema with `${…}` allowed in every scalar; not in keys."""
    made = {key: _below(key, value) for key, value in node.items()}
    if "enum" in node or "const" in node:
        choice = {key: made.pop(key) for key in ("type", "enum", "const") if key in made}
        return {**made, "anyOf": [choice, {"type": "string", "pattern": _VARIABLE}]}
    kinds = node.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "pattern" in node:
        made["pattern"] = f"{node['pattern']}|{_VARIABLE}"
    elif _SCALARS & set(kinds) and "string" not in kinds:
        made |= {"type": [*kinds, "string"], "pattern": _VARIABLE}
    return made


def _below(key: str, value: Any) -> Any:  # noqa: ANN401
    match key:
        case "description":
            return " ".join(value.split())
        case "properties" | "$defs":
            return {name: _with_variables(inner) for name, inner in value.items()}
        case "items" | "additionalProperties" if isinstance(value, dict):
            return _with_variables(value)
    return value
