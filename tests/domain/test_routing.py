from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain import routing
from proxy.domain.endpoints import Dialect
from proxy.domain.errors import UnknownModel
from proxy.domain.rollout import Decision, Reason, Rollout
from proxy.domain.routing import Provider, RetryPolicy, Route, RoutingTable, Target, TargetRollout


def plan(table, model, dialect, draw, variant="nobody's"):
    """A plan for a caller whom every rollout gives this variant."""
    return routing.plan(
        table,
        model,
        dialect,
        lambda: draw,
        lambda rollout: Decision(flag=rollout.flag, variant=variant, reason=Reason.MATCHED),
    )


def provider(name: str, dialect: Dialect = Dialect.OPENAI) -> Provider:
    return Provider(name=name, label=name, kind=dialect.value, dialect=dialect, base_url=f"https://{name}.test/v1")


OURS, LOCAL, CLAUDE = provider("ours"), provider("local"), provider("claude", Dialect.ANTHROPIC)
HEAVY, LIGHT = Target(provider=OURS, model="big", weight=9), Target(provider=LOCAL, model="small", weight=1)
SPARE = Target(provider=LOCAL, model="spare")
TABLE = RoutingTable(
    providers={each.name: each for each in (OURS, LOCAL, CLAUDE)},
    routes=(
        Route(pattern="fast", targets=(HEAVY, LIGHT), fallback=(SPARE,), retries=RetryPolicy(max=2)),
        Route(pattern="claude-opus-*", targets=(Target(provider=CLAUDE, model="opus"),)),
        Route(pattern="claude-*", targets=(Target(provider=CLAUDE),)),
    ),
    defaults={Dialect.OPENAI: OURS, Dialect.ANTHROPIC: None},
)


def test_a_named_model_gives_the_drawn_target_then_the_fallbacks() -> None:
    made = plan(TABLE, "fast", Dialect.OPENAI, 0.0)
    assert made.targets == (HEAVY, SPARE)
    assert made.retries.max == 2
    assert plan(TABLE, "fast", Dialect.OPENAI, 0.9).targets == (LIGHT, SPARE)
    assert plan(TABLE, "fast", Dialect.OPENAI, 0.899).targets == (HEAVY, SPARE)


def test_draws_fall_as_the_weights_say() -> None:
    drawn = Counter(plan(TABLE, "fast", Dialect.OPENAI, step / 1000).targets[0].label for step in range(1000))
    assert drawn == {"ours/big": 900, "local/small": 100}


@given(
    weights=st.lists(st.integers(0, 1000), min_size=1, max_size=6).filter(any),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_a_target_without_weight_is_never_drawn(weights: list[int], draw: float) -> None:
    targets = tuple(Target(provider=OURS, model=str(at), weight=weight) for at, weight in enumerate(weights))
    table = RoutingTable(providers={}, routes=(Route(pattern="m", targets=targets),))
    assert plan(table, "m", Dialect.OPENAI, draw).targets[0].weight > 0


def test_the_first_matching_route_counts() -> None:
    assert plan(TABLE, "claude-opus-5", Dialect.ANTHROPIC, 0.5).targets[0].model == "opus"
    assert plan(TABLE, "claude-haiku", Dialect.ANTHROPIC, 0.5).targets == (Target(provider=CLAUDE),)


def test_a_fallback_that_was_drawn_already_is_not_tried_twice() -> None:
    table = RoutingTable(providers={}, routes=(Route(pattern="m", targets=(HEAVY,), fallback=(HEAVY, SPARE)),))
    assert plan(table, "m", Dialect.OPENAI, 0.1).targets == (HEAVY, SPARE)


def test_other_models_and_calls_without_one_go_to_the_default_of_the_dialect() -> None:
    assert plan(TABLE, "gpt-4o", Dialect.OPENAI, 0.1).targets == (Target(provider=OURS),)
    assert plan(TABLE, None, Dialect.OPENAI, 0.1).targets == (Target(provider=OURS),)
    assert plan(TABLE, None, Dialect.OPENAI, 0.1).retries.max == 0


@pytest.mark.parametrize("dialect", [Dialect.ANTHROPIC, Dialect.GEMINI])
def test_without_a_default_the_model_is_refused_with_what_to_write_and_without_its_name(dialect: Dialect) -> None:
    with pytest.raises(UnknownModel) as caught:
        plan(TABLE, "secret-model", dialect, 0.1)
    assert "routing.yaml" in caught.value.public_message
    assert dialect.value in caught.value.public_message
    assert "secret-model" not in caught.value.public_message


def test_a_route_of_another_dialect_is_refused() -> None:
    with pytest.raises(UnknownModel, match="anthropic dialect") as caught:
        plan(TABLE, "claude-haiku", Dialect.OPENAI, 0.1)
    assert "haiku" not in caught.value.public_message


def test_a_providers_key_is_in_no_repr() -> None:
    keyed = Provider(name="p", label="p", kind="openai", dialect=Dialect.OPENAI, base_url="x", api_key="sk-hidden")
    assert "sk-hidden" not in repr(Target(provider=keyed))


ROLLED_OUT = Route(
    pattern="test",
    targets=(HEAVY, LIGHT),
    fallback=(LIGHT, SPARE),
    rollout=TargetRollout(
        rollout=Rollout(flag="answers", default="control"), targets={"control": HEAVY, "treatment": LIGHT}
    ),
)


@pytest.mark.parametrize(
    ("variant", "targets"),
    [
        ("control", (HEAVY, LIGHT, SPARE)),
        ("treatment", (LIGHT, SPARE)),
        ("false", (HEAVY, LIGHT, SPARE)),
    ],
)
def test_a_rollout_chooses_in_place_of_the_draw_and_the_default_has_who_has_no_target(variant, targets) -> None:
    table = RoutingTable(providers=TABLE.providers, routes=(ROLLED_OUT,))
    for draw in (0.0, 0.999):
        assert plan(table, "test", Dialect.OPENAI, draw, variant).targets == targets


def test_a_dialect_is_keyed_where_every_provider_of_it_spends_the_operator_s_key() -> None:
    open_, keyed, other = (
        Provider(name=name, label=name, kind="openai", dialect=dialect, base_url="x", api_key=key)
        for name, dialect, key in (("a", Dialect.OPENAI, None), ("b", Dialect.OPENAI, "k"), ("c", Dialect.GEMINI, "k"))
    )
    assert RoutingTable(providers={"a": open_, "b": keyed, "c": other}).keyed_dialects == {Dialect.GEMINI}
    assert RoutingTable(providers={"b": keyed}).keyed_dialects == {Dialect.OPENAI}
    assert RoutingTable(providers={}).keyed_dialects == frozenset()
