"""What the values of a configuration file may be; each type also says its own to editors, see `json_schema`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from proxy.config.addresses import base_address
from proxy.config.problems import HIDE_IT, is_secret


class Section(BaseModel):
    """A mapping of a configuration file: unknown keys are refused, and so is every silent conversion.

    The docstring of a section and those under its fields are what editors and the reference page say of them.
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )
    elsewhere: ClassVar[Mapping[str, str]] = {}
    """Keys that people seek here, and where they belong."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Text that the whole `pattern` matches. `title` is what operators call it; `hint` says what to write."""

    title: str
    pattern: str
    hint: str

    def fits(self, text: str) -> bool:
        """True for such a text."""
        return re.fullmatch(self.pattern, text) is not None

    def check(self, text: str) -> str:
        """The text as it is. Raises ValueError with the hint."""
        if not self.fits(text):
            raise ValueError(self.hint)
        return text

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), **self.for_editors}

    @property
    def for_editors(self) -> JsonSchemaValue:
        """The same as keywords of JSON Schema."""
        return {"title": self.title, "pattern": f"^(?:{self.pattern})$", "patternErrorMessage": self.hint}


def file_below(document: str, example: str) -> Matching:
    """The name of a file that a document refers to, below its own folder."""
    return Matching(
        "file",
        r"(?!/)(?!(?:.*/)?\.\.(?:/|$))[^\\:\x00-\x1f]{1,200}",
        f"name a file below the folder of {document}, such as {example}",
    )


def _no_secret(text: str) -> str:
    if is_secret(text):
        raise ValueError(HIDE_IT)
    return text


SIZE = "size"
_DATE = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
_SIZE_HINT = "a size is a whole number of bytes, or one with a unit, such as 64MiB"
_SIZE = re.compile(r"([0-9]{1,15}) ?(([KMGT]i?)?B)", re.IGNORECASE)
_BINARY_UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
_SIZE_UNITS = {unit.upper(): factor for unit, factor in _BINARY_UNITS.items()} | {
    "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4,
}  # fmt: skip


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    written = _SIZE.fullmatch(value)
    if written is None:
        raise ValueError(_SIZE_HINT)
    return int(written[1]) * _SIZE_UNITS[written[2].upper()]


def size_text(size_bytes: int) -> str:
    """The size in the largest unit that divides it."""
    factor, unit = next((factor, unit) for unit, factor in reversed(_BINARY_UNITS.items()) if size_bytes % factor == 0)
    return f"{size_bytes // factor}{unit}"


def _day(value: object) -> date:
    try:
        if isinstance(value, str) and re.match(_DATE, value):
            return date.fromisoformat(value)
    except ValueError:
        pass  # 30 February
    raise ValueError("this must be a date, year first, such as 2026-11-20")


EnvName = Annotated[
    str,
    AfterValidator(_no_secret),
    Matching(
        "name of a variable",
        r"[A-Za-z_][A-Za-z0-9_]*",
        "this must be the name of an environment variable, such as OPENAI_API_KEY",
    ),
]
"""Names a variable that holds a secret."""
Bytes = Annotated[
    int,
    Field(gt=0),
    BeforeValidator(_bytes),
    WithJsonSchema(
        {
            "title": SIZE,
            "type": ["integer", "string"],
            "exclusiveMinimum": 0,
            "pattern": r"^0*[1-9][0-9]* ?([KkMmGgTt][Ii]?)?[Bb]$",
            "patternErrorMessage": _SIZE_HINT,
        }
    ),
]
"""`1048576` or `1MiB`."""
Address = Annotated[
    str,
    AfterValidator(base_address),
    WithJsonSchema(
        {
            "title": "address",
            "type": "string",
            "pattern": r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^/?#%@\s]+)*/?$",
            "patternErrorMessage": "an address starts with http:// or https:// and ends where an SDK's base URL does",
        }
    ),
]
"""A host, without a trailing slash."""
Seconds = Annotated[Decimal, Field(gt=0, le=86_400, title="seconds")]
Day = Annotated[
    date,
    BeforeValidator(_day),
    WithJsonSchema({"title": "date", "type": "string", "pattern": _DATE}),
]
Name = Annotated[
    str,
    Matching("name", r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "use letters, digits, `_`, `.` and `-`, at most 64"),
]
"""What operators call things; it stands in headers, metrics and events."""
FLAG_KEY = Matching(
    "flag", r"[A-Za-z0-9._-]{1,200}", "write the flag's key as PostHog shows it: letters, digits, . _ -"
)
FlagKey = Annotated[str, FLAG_KEY]
"""The key of a feature flag, or what a split is called like one."""
Variant = Annotated[
    str, Matching("variant", r"[^\s,;=\"'\\]{1,200}", "a variant has no spaces, quotes, commas, semicolons or =")
]
ModelName = Annotated[str, Field(min_length=1, max_length=200, title="model")]
ModelPattern = Annotated[
    str,
    Matching(
        "pattern",
        r"[^?\[\]{}()|^$\\]{1,200}",
        "a pattern is a name of at most 200 characters in which `*` stands for anything; no other sign has a meaning",
    ),
]
"""A model's name, or one with `*` in it, as `proxy.domain.globs` reads it."""


def fits(kind: TypeAdapter[Any], value: str | Decimal) -> bool:
    """True for what a value of this kind may be."""
    try:
        kind.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True
