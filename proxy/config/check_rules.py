"""The checks of a model as the domain takes them. What could take for ever, or reach out, is refused here."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import orjson

from proxy.config.checks import SCHEMA_FILE, CheckSection, JudgeSection, LengthSection
from proxy.config.document import Document
from proxy.config.problems import Path, shown
from proxy.domain.checks import (
    LANGUAGES,
    Check,
    Cites,
    InLanguage,
    Length,
    Matches,
    MatchesSchema,
    NoRefusal,
    OneOf,
    Rule,
)
from proxy.domain.endpoints import Dialect
from proxy.domain.judges import Judge
from proxy.domain.linear_patterns import BadPattern, compiled
from proxy.domain.routing import RoutingTable, Target, route_of

SCHEMA_LIMIT_BYTES = 262_144
_RULES = (
    "json_schema", "json_schema_file", "refusal", "citation", "matches", "never_matches", "one_of", "length",
    "language", "judge",
)  # fmt: skip
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def referred_schemas(document: Document) -> list[str]:
    """The names of the files with schemas, as far as the document can be read."""
    models = document.value_at(("models",))
    found: dict[str, None] = {}
    for model in models.values() if isinstance(models, dict) else ():
        checks = model.get("checks") if isinstance(model, dict) else None
        for check in checks if isinstance(checks, list) else ():
            name = check.get("json_schema_file") if isinstance(check, dict) else None
            if isinstance(name, str) and SCHEMA_FILE.fits(name):
                found[name] = None
    return list(found)


def compile_checks(
    document: Document, path: Path, sections: tuple[CheckSection, ...], files: Mapping[str, bytes]
) -> tuple[tuple[Check, ...], tuple[Judge, ...]]:
    """Checks and judges, less those with problems, which go to the document. `files` are schemas by their names."""
    checks: list[Check] = []
    judges: list[Judge] = []
    names: set[str] = set()
    for index, section in enumerate(sections):
        here: Path = (*path, index)
        if section.name in names:
            document.report((*here, "name"), "this name stands twice; events could not tell the two apart")
        names.add(section.name)
        given = [rule for rule in _RULES if getattr(section, rule) is not None]
        if len(given) != 1:
            document.report(here, f"give one of {', '.join(_RULES)}")
        elif section.judge is not None:
            judges.append(_judge(document, (*here, "judge"), section.name, section.judge))
        elif (rule := _rule(document, here, section, files)) is not None:
            checks.append(Check(name=section.name, rule=rule, fails=section.on_fail == "fail"))
    return tuple(checks), tuple(judges)


def _judge(document: Document, path: Path, name: str, judge: JudgeSection) -> Judge:
    if not judge.sends_content:
        message = "questions and answers go to the judge's provider: say that you know with `sends_content: true`"
        document.report((*path, "sends_content"), message)
    return Judge(
        name=name,
        model=judge.model,
        criteria=judge.criteria,
        sample=float(judge.sample),
        per_minute=float(judge.max_per_minute),
        reasons=judge.reasons,
    )


def check_judges(document: Document, models: Mapping[str, tuple[CheckSection, ...]], table: RoutingTable) -> None:
    """Report judges whose model no key of ours pays for, or that speaks no dialect in which they are asked."""
    for pattern, sections in models.items():
        for index, section in enumerate(sections):
            if section.judge is not None and (problem := _judge_problem(section.judge.model, table)) is not None:
                document.report(("models", pattern, "checks", index, "judge", "model"), problem)


def _judge_problem(model: str, table: RoutingTable) -> str | None:
    route = route_of(table, model)
    default = table.defaults.get(Dialect.OPENAI)
    targets = (*route.targets, *route.fallback) if route else (Target(provider=default),) if default else ()
    if not targets:
        return "no target for this model; name it under `models:`"
    if any(target.provider.api_key is None for target in targets):
        return "a judge has no caller's key: all targets of its model need a provider with a `key_env`"
    if targets[0].provider.dialect is Dialect.GEMINI:
        return "judges are asked in the dialects of OpenAI and Anthropic; name a model that speaks one of them"
    return None


def _rule(document: Document, path: Path, section: CheckSection, files: Mapping[str, bytes]) -> Rule | None:
    """The rule that the section gives, which is one."""
    if section.refusal is not None:
        return NoRefusal()
    if section.citation is not None:
        return Cites()
    if section.one_of is not None:
        return OneOf(frozenset(value.strip() for value in section.one_of))
    if section.length is not None:
        return _length(document, (*path, "length"), section.length)
    return _heavy_rule(document, path, section, files)


def _heavy_rule(document: Document, path: Path, section: CheckSection, files: Mapping[str, bytes]) -> Rule | None:
    if section.language is not None:
        for index, language in enumerate(section.language):
            if language not in LANGUAGES:
                message = f"{shown(language)} is none of the languages that can be told; docs/checks.md lists them"
                document.report((*path, "language", index), message)
        return InLanguage(frozenset(section.language))
    if section.json_schema is not None:
        return _schema(document, (*path, "json_schema"), document.value_at((*path, "json_schema")))
    if section.json_schema_file is not None:
        return _schema_in_file(document, (*path, "json_schema_file"), section.json_schema_file, files)
    key = "matches" if section.matches is not None else "never_matches"
    pattern: str = getattr(section, key)
    if (problem := pattern_problem(pattern)) is not None:
        document.report((*path, key), problem)
    return Matches(pattern, wanted=key == "matches")


def _length(document: Document, path: Path, length: LengthSection) -> Length:
    if (length.min_chars, length.max_chars, length.max_tokens) == (None, None, None):
        document.report(path, "give one of min_chars, max_chars and max_tokens")
    if length.min_chars is not None and length.max_chars is not None and length.min_chars > length.max_chars:
        document.report((*path, "min_chars"), "this is more than max_chars")
    return Length(min_chars=length.min_chars, max_chars=length.max_chars, max_tokens=length.max_tokens)


def pattern_problem(pattern: str) -> str | None:
    """Why RE2 does not take a regular expression."""
    try:
        compiled(pattern)
    except BadPattern as error:
        told = error.__cause__.args[0] if error.__cause__ is not None else b""
        return f"this regular expression cannot be used: {told.decode()} (RE2 has no lookaround and no backreferences)"
    return None


def _schema_in_file(document: Document, path: Path, name: str, files: Mapping[str, bytes]) -> Rule | None:
    raw = files.get(name, b"")
    if not raw.strip():
        document.report(path, "there is no such file, or it is empty")
        return None
    try:
        schema = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        document.report(path, f"the file is not valid JSON: line {error.lineno}, column {error.colno}")
        return None
    return _schema(document, path, schema)


def _schema(document: Document, path: Path, schema: Any) -> MatchesSchema | None:  # noqa: ANN401
    text = orjson.dumps(schema, default=_number, option=orjson.OPT_SORT_KEYS)
    problem = "it is too large" if len(text) > SCHEMA_LIMIT_BYTES else schema_problem(orjson.loads(text))
    if problem is not None:
        document.report(path, f"this JSON Schema cannot be used: {problem}")
        return None
    return MatchesSchema(text.decode())


def _number(value: object) -> float | int:
    assert isinstance(value, Decimal)
    return int(value) if value == value.to_integral_value() else float(value)


def schema_problem(schema: Any) -> str | None:  # noqa: ANN401
    """Why a schema is refused: it is none, refers to what is not in it, or has a pattern that RE2 does not take."""
    from jsonschema import SchemaError, validators

    try:
        draft = validators.validator_for(schema, default=validators.Draft202012Validator)
        draft.check_schema(schema)
    except SchemaError as error:
        return f"{_pointer(error.absolute_path)} {error.message}"
    for place, key, value in _texts(schema, ()):
        if key in _REFERENCES and (problem := _reference_problem(value, schema)) is not None:
            return f"{_pointer((*place, key))} {problem}"
        if key == "pattern" and (problem := pattern_problem(value)) is not None:
            return f"{_pointer((*place, key))} {problem}"
        if place[-1:] == ("patternProperties",) and (problem := pattern_problem(key)) is not None:
            return f"{_pointer(place)} {problem}"
    return None


def _texts(value: Any, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str, str]]:  # noqa: ANN401
    """(place, key, text) of every text under a key, and of every key of `patternProperties`, with "" as its text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str):
                yield place, key, inner
            elif place[-1:] == ("patternProperties",):
                yield place, key, ""
            yield from _texts(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*place, index))


def _pointer(parts: Any) -> str:  # noqa: ANN401
    return "/".join(map(str, parts)) + ":" if parts else "at the top:"


def _reference_problem(reference: str, schema: Any) -> str | None:  # noqa: ANN401
    if not reference.startswith("#"):
        return "a reference must begin with #: nothing outside of the schema is opened or fetched"
    if not reference.startswith("#/"):
        return None
    current = schema
    for part in unquote(reference[2:]).split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(current, list) and name.isdecimal() and int(name) < len(current):
            current = current[int(name)]
        elif isinstance(current, dict) and name in current:
            current = current[name]
        else:
            return f"nothing stands at {shown(reference)}"
    return None
