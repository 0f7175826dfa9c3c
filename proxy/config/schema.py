"""The strict border: a document becomes a checked model, or problems that say where and what to do."""

import re
import types
from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, to_json

from proxy.config.document import Document, Value
from proxy.config.problems import Path, is_secret, shown


class Section(BaseModel):
    """A mapping of a configuration file: unknown keys are refused, and so is every silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


def matching(pattern: str, hint: str) -> AfterValidator:
    """Takes text that the whole pattern matches; says `hint` otherwise."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(hint)
        return text

    return AfterValidator(check)


def _variable_name(text: str) -> str:
    if is_secret(text):
        raise ValueError("this looks like a secret itself; put it into an environment variable and name that here")
    if not text.isidentifier() or not text.isascii():
        raise ValueError("this must be the name of an environment variable")
    return text


_UNITS = {"KIB": 1024, "MIB": 1024**2, "GIB": 1024**3, "TIB": 1024**4,
          "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4}  # fmt: skip


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    number = value.rstrip("KMGTiIbBkmgt ")
    unit = value[len(number) :].strip().upper()
    if not number.isdecimal() or len(number) > 15 or unit not in _UNITS:
        raise ValueError("a size is a whole number of bytes, or one with a unit, such as 64MiB")
    return int(number) * _UNITS[unit]


EnvName = Annotated[str, AfterValidator(_variable_name)]
"""Names a variable that holds a secret."""
Bytes = Annotated[int, BeforeValidator(_bytes), Field(gt=0)]
"""`1048576` or `1MiB`."""
Seconds = Annotated[Decimal, Field(gt=0, le=86_400)]
Name = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "use letters, digits, `_`, `.` and `-`, at most 64")]
"""What operators call things; it stands in headers, metrics and events."""

M = TypeVar("M", bound=Section)


def check_document(document: Document, model: type[M]) -> M | None:
    """The document as a model, less the entries that were found wrong and reported, so that the rest is checked too.

    None where there is no document, or where nothing of it can be used.
    """
    if document.value is None:
        return None
    if not isinstance(document.value, dict):
        document.report((), "the file must be a mapping of keys to values")
        return None
    value = document.value
    while True:
        try:
            return model.model_validate_json(to_json(value), strict=True)
        except ValidationError as error:
            rest = _without(value, _report(document, model, error))
        if len(rest) == len(value) and rest == value:
            return None
        value = rest


def _report(document: Document, model: type[Section], error: ValidationError) -> list[Path]:
    """Put each problem where it is written, unless the reader found fault with the same value; returns the places."""
    paths = []
    for details in error.errors(include_url=False, include_context=False, include_input=False):
        path = _path_in(document, details)
        paths.append(path)
        if not document.has_problem_at(path):
            document.report(path, _message(details, model, path))
    return paths


def _path_in(document: Document, details: ErrorDetails) -> Path:
    """The part of a location that is the document's own: tags of unions are not keys of the file."""
    loc = details["loc"]
    path: Path = ()
    for part in loc:
        if (*path, part) in document.places:
            path = (*path, part)
    return (*path, loc[-1]) if details["type"] == "missing" and path != loc else path


def _without(value: dict[str, Value], paths: list[Path]) -> dict[str, Value]:
    """The mapping less the entries at or above the paths: of a mapping below the root one key, else all of it."""
    rest = {key: dict(entry) if isinstance(entry, dict) else entry for key, entry in value.items()}
    for path in filter(None, paths):
        head = rest.get(str(path[0]))
        if isinstance(head, dict) and len(path) > 1:
            head.pop(str(path[1]), None)
        else:
            rest.pop(str(path[0]), None)
    return rest


def _message(details: ErrorDetails, model: type[Section], path: Path) -> str:
    match details["type"]:
        case "extra_forbidden":
            return unknown("key", str(path[-1]), _keys_at(model, path[:-1]))
        case "missing":
            return "this key is required"
        case "string_type":
            return "this must be text; quote it if it is (YAML reads yes, no, on, off and numbers as something else)"
        case "value_error":
            return details["msg"].removeprefix("Value error, ")
        case "model_type" | "dict_type" | "model_attributes_type":
            return "this must be a mapping of keys to values"
        case "decimal_type" | "decimal_parsing":
            return "this must be a number"
        case "tuple_type":
            return "this must be a list"
    message = details["msg"].removeprefix("Input should be ")
    return f"this must be {message}" if message != details["msg"] else message


def unknown(what: str, name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """Name the nearest known name, and all of them."""
    near = get_close_matches(name, list(known), n=1)
    hint = f"did you mean `{near[0]}`? " if near else ""
    return f"unknown {what} {shown(name)}; {hint}known: {', '.join(known) or 'none'}"


def _keys_at(model: type[Section], path: Path) -> tuple[str, ...]:
    """The keys that the mapping at `path` may have."""
    current: object = model
    for part in path:
        fields = _fields(current)
        current = _look_through(fields.get(str(part)) if fields else _element(current))
    return tuple(_fields(current))


def _element(container: object) -> object:
    """What a dict, a list or a tuple of any length holds."""
    return next((part for part in reversed(get_args(container)) if part is not ...), None)


def _fields(annotation: object) -> dict[str, object]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return {field_key(name, entry): entry.annotation for name, entry in annotation.model_fields.items()}
    return {}


def field_key(name: str, entry: FieldInfo) -> str:
    """A field's key as the file spells it."""
    return entry.alias or name


def _look_through(annotation: object) -> object:
    """What stands in `X | None` beside None."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next((part for part in get_args(annotation) if part is not type(None)), None)
    return annotation
