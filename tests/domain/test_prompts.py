import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.errors import BadRequest, UnknownModel
from proxy.domain.prompts import (
    NO_PROMPTS,
    ManagedPrompt,
    PromptBook,
    PromptVersion,
    rendered,
    values_for,
    variables_in,
)

VERSIONS = {version: PromptVersion(id=version) for version in ("pv_1", "pv_2")}
PROMPT = ManagedPrompt(
    name="support",
    versions=VERSIONS,
    default="pv_1",
    variants={"control": "pv_1", "test": "pv_2"},
    variables={"who": None, "product": "Promptlane", "a": None},
)
BOOK = PromptBook(prompts={"support": PROMPT})
TEXTS = st.text(max_size=20) | st.sampled_from(["{{who}}", "{{ product }}", "{{", "}}", "\\1", "\\g<who>", "{who}"])


def test_a_call_asks_by_its_model_before_its_label() -> None:
    assert BOOK.asked_for("prompt/support", "other") is PROMPT
    assert BOOK.asked_for("gpt-4.1-mini", "support") is PROMPT
    assert BOOK.asked_for(None, "other") is None
    assert BOOK.asked_for("gpt-4.1-mini", None) is None
    with pytest.raises(UnknownModel) as refused:
        BOOK.asked_for("prompt/other", "support")
    assert refused.value.code == "unknown_prompt"


def test_without_prompts_there_is_nothing_to_ask() -> None:
    assert not NO_PROMPTS
    assert BOOK


@pytest.mark.parametrize(("variant", "version"), [("control", "pv_1"), ("test", "pv_2"), ("new", "pv_1")])
def test_a_variant_leads_to_its_version_or_to_the_default(variant: str, version: str) -> None:
    assert PROMPT.version_of(variant).id == version


@given(TEXTS, TEXTS, TEXTS)
def test_a_value_is_put_in_as_it_is(before: str, value: str, after: str) -> None:
    """Whatever looks like a template in it: no value is rendered again."""
    text = f"{before.replace('{', '')}{{{{who}}}}{after.replace('{', '')}"
    assert rendered(PROMPT, text, {"who": value, "product": "never"}) == text.replace("{{who}}", value)


@given(st.text(max_size=40))
def test_a_text_without_variables_is_itself(text: str) -> None:
    if not variables_in(text):
        assert rendered(PROMPT, text, {}) == text


def test_what_is_no_name_is_text() -> None:
    text = '{{#if who}} {{1}} {{who.name}} {"a": {"b": 1}} {{ who}} {{}} {{{a}}}'
    assert variables_in(text) == ["who", "a"]
    assert rendered(PROMPT, text, {"who": "Ada", "a": "x"}) == (
        '{{#if who}} {{1}} {{who.name}} {"a": {"b": 1}} Ada {{}} {x}'
    )


def test_a_value_comes_before_the_default() -> None:
    assert rendered(PROMPT, "{{product}}, {{who}}", {"who": "Ada"}) == "Promptlane, Ada"
    assert rendered(PROMPT, "{{product}}", {"product": ""}) == ""


def test_values_that_are_missing_are_named() -> None:
    with pytest.raises(BadRequest) as refused:
        rendered(PROMPT, "{{who}} {{a}} {{product}} {{who}}", {})
    assert refused.value.code == "prompt_variable_missing"
    assert "needs who, a:" in refused.value.public_message


def test_values_are_taken_by_the_names_that_the_prompt_declares() -> None:
    sent = {"who": "Ada", "product": 3, "a": 0.5, "evil": "x", "worse": "y"}
    found = values_for(PROMPT, sent)
    assert found.values == {"who": "Ada", "product": "3", "a": "0.5"}
    assert found.warnings == ("prompt_variables:not_allowed",)


@pytest.mark.parametrize(
    ("sent", "warnings"),
    [
        (None, ()),
        ("x", ("prompt_variables:malformed",)),
        ({"who": ["x"], "product": {"a": 1}}, ("prompt_variables:not_scalar",)),
        ({"who": None}, ()),
    ],
)
def test_other_values_are_none(sent: object, warnings: tuple[str, ...]) -> None:
    assert (values_for(PROMPT, sent).values, values_for(PROMPT, sent).warnings) == ({}, warnings)


def test_truth_values_are_written_as_json_has_them() -> None:
    assert values_for(PROMPT, {"who": True}).values == {"who": "true"}
