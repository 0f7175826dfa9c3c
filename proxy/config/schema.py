"""The strict border: a document becomes a checked model, or problems that say where and what to do."""

import types
from collections.abc import Iterator
from typing import Annotated, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails, to_json

from proxy.config.document import Document, Value
from proxy.config.fields import Section
from proxy.config.problems import HIDE_IT, Path
from proxy.config.wording import misfit, unknown_key
from proxy.domain.privacy import looks_like_secret

VERSION = 1
"""Of the files' format; all files have the same."""
_LITELLM_KEYS = ("model_list", "litellm_settings", "router_settings", "general_settings")

M = TypeVar("M", bound=Section)


def check_document(document: Document, model: type[M]) -> M | None:
    """The document as a model, less the entries that were found wrong and reported, so that the rest is checked too.

    None where there is no document, or where nothing of it can be used.
    """
    value = _root(document)
    if value is None:
        return None
    wrong = list(_report_secrets(document, document.value, ()))
    while True:
        checked = _validated(model, value)
        if isinstance(checked, ValidationError):
            wrong += _report(document, model, checked)
        elif not wrong:
            return checked
        rest = _without(value, wrong)
        if rest == value:
            return None
        value, wrong = rest, []


def _root(document: Document) -> dict[str, Value] | None:
    """The document's mapping with the version that we know, so that the rest is checked under any."""
    value = document.value
    if value is None:
        return None
    if not isinstance(value, dict):
        document.report((), "the file must have the form `key: value`, with a space after the colon, line by line")
        return None
    if foreign := [key for key in _LITELLM_KEYS if key in value]:
        message = f"this is a LiteLLM configuration; run `promptlane import litellm {document.file}`"
        document.report((foreign[0],), message)
        return None
    version = value.get("version")
    if "version" not in value:
        document.report(("version",), f"this key is required; begin the file with `version: {VERSION}`")
    elif version is True or version != VERSION:
        document.report(("version",), f"this release reads version {VERSION} of this file; write `version: {VERSION}`")
    return {**value, "version": VERSION}


def _report_secrets(document: Document, value: Value, path: Path) -> Iterator[Path]:
    """Report, and return the places of, every key and text of the file that has the shape of a secret."""
    if path and isinstance(path[-1], str) and looks_like_secret(path[-1]):
        yield path
        document.report(path, HIDE_IT)
    if isinstance(value, str) and looks_like_secret(value):
        yield path
        document.report(path, HIDE_IT)
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _report_secrets(document, inner, (*path, key))


def _validated(model: type[M], value: dict[str, Value]) -> M | ValidationError:
    try:
        return model.model_validate_json(to_json(value), strict=True)
    except ValidationError as error:
        return error


def _report(document: Document, model: type[Section], error: ValidationError) -> list[Path]:
    """Put each problem where it is written, unless the reader found fault with the same value; returns the places."""
    paths = []
    for details in error.errors(include_url=False, include_input=False):
        path = _path_in(document, details)
        paths.append(path)
        # A list whose entries are all wrong is not also too short.
        is_echo = details["type"] == "too_short" and bool(document.value_at(path))
        if not is_echo and not document.has_problem_at(path):
            document.report(path, _message(details, document, model, path))
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


def _message(details: ErrorDetails, document: Document, model: type[Section], path: Path) -> str:
    if details["type"] == "extra_forbidden":
        section = _annotation_at(model, path[:-1])
        known = _fields(section)
        nested = {key: _fields(inner) or _fields(_element(inner)) for key, inner in known.items()}
        return unknown_key(str(path[-1]), known, nested, getattr(section, "elsewhere", {}))
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    return misfit(details, document.value_at(path), key, _fields(_annotation_at(model, path)))


def _annotation_at(model: type[Section], path: Path) -> object:
    """What the models say of the value at `path`."""
    current: object = model
    for part in path:
        fields = _fields(current)
        current = fields.get(str(part)) if fields else _element(current)
    return current


def _element(container: object) -> object:
    """What a dict, a list or a tuple of any length holds."""
    return next((_look_through(part) for part in reversed(get_args(container)) if part is not ...), None)


def _fields(annotation: object) -> dict[str, object]:
    """The keys of a section as the file spells them, each with its annotation; none for anything else."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return {entry.alias or name: _look_through(entry.annotation) for name, entry in annotation.model_fields.items()}
    return {}


def _look_through(annotation: object) -> object:
    """What stands in `X | None` beside None, without its annotations; of several, the section."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    parts = [_look_through(part) for part in get_args(annotation) if part is not type(None)]
    return next((part for part in parts if _fields(part)), parts[0])
