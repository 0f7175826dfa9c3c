"""What an editor is told of the files is what the loader does."""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from proxy.config.document import Document, Value, parse_document
from proxy.config.json_schema import FILES, json_schema, schema_text
from proxy.config.schema import check_document
from tests.config.broken import Case, read_cases

ROOT = Path(__file__).parents[2]
SHIPPED = {
    "routing": "config/routing.yaml",
    "analytics": "config/analytics.yaml",
    "pricing": "pricing.yaml",
    "prompts": "config/prompts.yaml",
    "alerts": "config/alerts.yaml",
}
GUIDE = (ROOT / "docs" / "configuration.md").read_text()
EXAMPLES = dict(zip(FILES, re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL), strict=True))
VALIDATORS = {name: Draft202012Validator(json_schema(name)) for name in FILES}
each_file = pytest.mark.parametrize("name", FILES)


class Unread(Mapping[str, str]):
    """An environment in which a reference to a variable stays as it is written."""

    def __getitem__(self, name: str) -> str:
        return f"${{{name}}}"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def written(raw: bytes) -> Document:
    return parse_document("f.yaml", raw, Unread())


def places_in(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places_in(inner, (*path, key))


def misshapen(name: str, value: Value) -> list[str]:
    """What the loader says of the value's shape."""
    document = Document(file="f.yaml", value=value, places=dict.fromkeys(places_in(value), (1, 1)))
    check_document(document, FILES[name])
    return [problem.message for problem in document.problems]


@each_file
def test_a_schema_is_one_and_says_which(name: str) -> None:
    schema = json.loads(schema_text(name))
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == f"Promptlane: {name}.yaml"


@each_file
def test_every_key_and_every_section_has_a_meaning(name: str) -> None:
    schema = json_schema(name)
    sections = {name: schema, **schema["$defs"]}
    missing = [
        f"{section}.{key}"
        for section, described in sections.items()
        for key, entry in {"": described, **described["properties"]}.items()
        if "$ref" not in entry and not entry.get("description", "").endswith(".")
    ]
    assert missing == []


@each_file
def test_the_files_at_hand_and_the_examples_pass(name: str) -> None:
    for raw in ((ROOT / SHIPPED[name]).read_bytes(), EXAMPLES[name].encode()):
        assert [error.message for error in VALIDATORS[name].iter_errors(written(raw).value)] == []


def test_a_section_that_may_be_absent_may_be_written() -> None:
    text = b"version: 1\nmodels: {gpt-5: {target: openai, capture: {content: full, sample: 0.5}}}"
    assert [error.message for error in VALIDATORS["routing"].iter_errors(written(text).value)] == []


@each_file
def test_the_files_at_hand_name_their_schema(name: str) -> None:
    path = ROOT / SHIPPED[name]
    line = path.read_text().splitlines()[0]
    assert line.startswith("# yaml-language-server: $schema=")
    assert (path.parent / line.partition("=")[2]).read_text() == schema_text(name), "run `make docs`"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("routing", 'limits: {drain_s: "${DRAIN}", body_bytes: "${BODY:-1MiB}"}'),
        ("routing", 'models: {m: {targets: [{provider: "${P}", weight: "${W}"}], retries: {on: [429, "${C}"]}}}'),
        ("routing", "providers: {p: {preset: '${P}', credentials: null, timeouts: {total_s: null}}}"),
        ("analytics", "families: {product: '${ON:-true}'}\nidentity: {mode: '${MODE}'}\nenvironment: x-${STAGE}"),
        ("analytics", "outbox: {max_bytes: 1048576, max_age_days: 0.5}\nevents: {started: off, sample: '0.5'}"),
        ("pricing", "models: [{match: {model: m}, prices: [{from: 2026-01-01, input_usd_per_mtok: '${RATE}'}]}]"),
    ],
)  # fmt: skip
def test_what_the_loader_takes_passes(name: str, text: str) -> None:
    value = written(b"version: 1\n" + text.encode()).value
    assert [error.message for error in VALIDATORS[name].iter_errors(value)] == []


FILES_OF_CASES = [
    pytest.param(case, name, id=f"{case.kind}: {case.title} ({name})")
    for case in read_cases()
    for name in FILES
    if (raw := case.files.get(f"{name}.yaml")) and not written(raw).problems
]
BEYOND_A_SCHEMA = ("looks like a secret", "LiteLLM", "credentials do not belong", "the version twice", "leave `")
"""Problems of shape that no schema shows, by a part of what the loader says."""


@pytest.mark.parametrize(("case", "name"), FILES_OF_CASES)
def test_what_has_the_wrong_shape_is_marked_in_an_editor_and_nothing_else(case: Case, name: str) -> None:
    raw = case.files[f"{name}.yaml"]
    value = written(raw).value
    marks = [error.message for error in VALIDATORS[name].iter_errors(value)]
    told = [words for words in misshapen(name, value) if not any(part in words for part in BEYOND_A_SCHEMA)]
    assert marks or not told or b"${" in raw
    assert not marks or any(line.startswith(f"{name}.yaml:") for line in case.says)


FULL: dict[str, dict[str, Any]] = {name: written(text.encode()).value for name, text in EXAMPLES.items()}  # type: ignore[misc]
OTHER_VALUES: list[Value] = [
    None, True, 0, -1, 3, 10**9, Decimal("0.5"), "", "x", "3", "64MiB", "30s", "2026-11-20", "429", "a b",
    [], ["x"], [3], {}, {"x": 1},
]  # fmt: skip


@each_file
def test_editor_and_loader_agree_on_any_value_anywhere(name: str) -> None:
    disagreements = []
    for *parents, last in filter(None, places_in(FULL[name])):
        for value in OTHER_VALUES:
            changed: Any = deepcopy(FULL[name])
            inner = changed
            for part in parents:
                inner = inner[part]
            inner[last] = value
            passes = VALIDATORS[name].is_valid(changed)
            is_quoted_number = passes and value in ("3", "429")  # it may be out of its range
            is_number_for_text = not passes and isinstance(value, Decimal)  # the loader takes its digits
            if passes == bool(misshapen(name, changed)) and not is_quoted_number and not is_number_for_text:
                disagreements.append((*parents, last, value))
    assert disagreements == []
