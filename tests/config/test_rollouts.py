import pytest

from proxy.config.document import parse_document
from proxy.config.routing import RoutingFile
from proxy.config.routing_table import compile_routing
from proxy.config.schema import check_document


def route(rollout):
    text = f"version: 1\nmodels:\n  fast:\n    rollout: {rollout}\n    fallback: [openai/gpt-4.1]\n"
    document = parse_document("r", text.encode(), {})
    file = check_document(document, RoutingFile)
    assert file is not None
    table = compile_routing(document, file, {})
    assert document.problems == []
    (made,) = table.routes
    assert made.rollout is not None
    return made


def test_a_flag_decides_and_its_variants_are_targets():
    made = route("{flag: fast-test, variants: {control: openai/gpt-4.1, test: openai/gpt-5}, default: test}")
    assert (made.rollout.rollout.flag, made.rollout.rollout.default, made.rollout.rollout.split) == (
        "fast-test",
        "test",
        None,
    )
    assert {variant: target.label for variant, target in made.rollout.targets.items()} == {
        "control": "openai/gpt-4.1",
        "test": "openai/gpt-5",
    }
    assert [target.label for target in made.targets] == ["openai/gpt-4.1", "openai/gpt-5"]
    assert [target.label for target in made.fallback] == ["openai/gpt-4.1"]


def test_the_variants_of_a_boolean_flag_need_no_quotes():
    made = route("{flag: fast-test, variants: {false: openai/gpt-4.1, true: openai/gpt-5}}")
    assert list(made.rollout.targets) == ["false", "true"]
    assert made.rollout.rollout.default == "false"


@pytest.mark.parametrize(("key", "called"), [("", "model-fast"), ("key: gpt-5-rollout, ", "gpt-5-rollout")])
def test_a_split_keeps_the_order_that_is_written_and_has_a_key_of_its_own(key, called):
    made = route(f"{{{key}split: {{old: 99.5, new: 0.5}}, variants: {{new: openai/gpt-5, old: openai}}, default: old}}")
    assert made.rollout.rollout.flag == called
    assert made.rollout.rollout.split.shares == (("old", 99.5), ("new", 0.5))
