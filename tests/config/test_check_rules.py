import json
from decimal import Decimal

import pytest

from proxy.config.check_rules import compile_checks, pattern_problem, referred_schemas, schema_problem
from proxy.config.document import Document, parse_document
from proxy.config.routing import RoutingFile
from proxy.config.schema import check_document
from proxy.domain.checks import Check, Cites, InLanguage, Length, Matches, MatchesSchema, NoRefusal, OneOf, Rule
from proxy.domain.judges import Judge

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
SCHEMA_FILE = {"schemas/a.json": b'{"type": "object"}'}


def compiled(text: str) -> tuple[tuple[tuple[Check, ...], tuple[Judge, ...]], Document]:
    document = parse_document("r", f"version: 1\nmodels: {{fast: {{target: openai, checks: [{text}]}}}}".encode(), {})
    file = check_document(document, RoutingFile)
    assert file is not None
    return compile_checks(document, ("models", "fast", "checks"), file.models["fast"].checks, SCHEMA_FILE), document


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("refusal: never", NoRefusal()),
        ("citation: required", Cites()),
        ('matches: "^x"', Matches("^x")),
        ("never_matches: secret", Matches("secret", wanted=False)),
        ("one_of: [refund, ' other ']", OneOf(frozenset({"refund", "other"}))),
        ("length: {min_chars: 1, max_tokens: 9}", Length(min_chars=1, max_tokens=9)),
        ("language: [en, de]", InLanguage(frozenset({"en", "de"}))),
        ("json_schema: {type: object, maxProperties: 2}", MatchesSchema('{"maxProperties":2,"type":"object"}')),
        (
            "json_schema: {type: number, minimum: 0.5, maximum: 2.0}",
            MatchesSchema('{"maximum":2,"minimum":0.5,"type":"number"}'),
        ),
        ("json_schema_file: schemas/a.json", MatchesSchema('{"type":"object"}')),
    ],
)
def test_every_rule_arrives(text: str, rule: Rule) -> None:
    (checks, judges), document = compiled(f"{{name: it, {text}}}")
    assert (checks, judges, document.problems) == ((Check(name="it", rule=rule),), (), [])


def test_a_check_may_only_note() -> None:
    ((check,), _), _ = compiled("{name: it, refusal: never, on_fail: note}")
    assert not check.fails


def test_a_judge_arrives_with_its_budget() -> None:
    budget = "sample: 0.5, max_per_minute: 30, reasons: [wrong]"
    text = f"{{model: strong, criteria: True and complete., sends_content: true, {budget}}}"
    ((), (judge,)), document = compiled(f"{{name: good, judge: {text}}}")
    assert document.problems == []
    assert judge == Judge(
        name="good", model="strong", criteria="True and complete.", sample=0.5, per_minute=30.0, reasons=("wrong",)
    )


def test_files_are_named_as_far_as_the_document_can_be_read() -> None:
    document = Document(file="r")
    document.value = {
        "models": {
            "a": {"checks": [{"json_schema_file": "s/a.json"}, {"json_schema_file": "../b.json"}, "x"]},
            "b": {"checks": {"json_schema_file": "c.json"}},
            "c": None,
        }
    }
    assert referred_schemas(document) == ["s/a.json"]
    assert referred_schemas(Document(file="r", value=Decimal(1))) == []


@pytest.mark.parametrize("pattern", ["^T-[0-9]+$", "(?i)refund|exchange", r"\p{Greek}+", "(a+)+$"])
def test_patterns_whose_time_is_bounded_are_taken(pattern: str) -> None:
    assert pattern_problem(pattern) is None


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"$defs": {"t": {"type": "string"}}, "items": {"$ref": "#/$defs/t"}}, None),
        ({"$schema": DRAFT_7, "definitions": {"a/b": {}}, "$ref": "#/definitions/a~1b"}, None),
        ({"properties": {"pattern": {"type": "string"}, "$ref": {"type": "string"}}}, None),
        (True, None),
        ({"allOf": [{"$ref": "#/allOf/1"}, {}]}, None),
        ({"$ref": "#/allOf/1"}, "nothing stands at"),
        ({"$ref": "file:///etc/passwd"}, "must begin with #"),
        ({"$dynamicRef": "other.json#x"}, "must begin with #"),
        ({"required": "kind"}, "required:"),
        ([], "at the top:"),
    ],
    ids=json.dumps,
)  # fmt: skip
def test_schemas_are_held_to_themselves(schema: object, problem: str | None) -> None:
    found = schema_problem(schema)
    assert found is None if problem is None else found is not None and problem in found
