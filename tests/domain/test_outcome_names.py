from typing import Any

import pytest

from proxy.domain.outcome_names import REMEMBERED_US, Name, Said, names_of
from proxy.domain.outcomes import BadOutcome, Outcome, Reference, Verb

NOW_US = 1_795_000_000_000_000
DIGEST = b"d" * 32


def outcome(name: str | None = None, path: str = "") -> Outcome:
    return Outcome(event="e", about=Reference(), values={}, id=name, path=path)


def names(body: object, *outcomes: Outcome, **more: Any) -> list[Name | None]:
    told = {"caller": "key web", "verb": Verb.FEEDBACK, "key": None, "rated": None, "secret": b"s", **more}
    return names_of(outcomes, body, **told)


def name(body: object, made: Outcome, **more: Any) -> Name:
    (found,) = names(body, made, **more)
    assert found is not None
    return found


def test_without_a_name_nothing_can_be_repeated() -> None:
    assert names({}, outcome()) == [None]


def test_an_id_is_apart_by_caller_verb_and_installation() -> None:
    seeds = {
        name({}, outcome("7"), **more).seed
        for more in ({}, {"caller": "key other"}, {"verb": Verb.TASKS}, {"secret": b"t"}, {"key": "k"})
    }
    assert len(seeds) == 4  # a key beside an id changes nothing
    assert name({}, outcome("8")).seed not in seeds


def test_the_order_of_members_does_not_matter_and_values_do() -> None:
    first, same = name({"a": 1, "b": 2}, outcome("7")), name({"b": 2, "a": 1}, outcome("7"))
    assert first == same
    assert name({"a": 1, "b": 3}, outcome("7")).digest != first.digest


def test_with_a_key_the_whole_body_counts_and_each_object_has_its_place() -> None:
    both = names([1, 2], outcome(path="[0]"), outcome(path="[1]"), key="k")
    shorter = name([1], outcome(path="[0]"), key="k")
    assert both[0] is not None
    assert both[1] is not None
    assert both[0].seed == shorter.seed != both[1].seed
    assert both[0].digest == both[1].digest != shorter.digest


def test_with_ids_each_object_counts_by_itself() -> None:
    both = names([{"a": 1}, {"a": 2}], outcome("x", "[0]"), outcome("y", "[1]"), key="k")
    assert both == [name({"a": 1}, outcome("x", "[0]")), name({"a": 2}, outcome("y", "[1]"))]


def test_a_token_rates_its_call_once_whatever_else_is_sent() -> None:
    assert name({}, outcome(), rated="call", key="k") == name({}, outcome(), rated="call", caller="token")
    assert name({}, outcome(), rated="call").seed != name({}, outcome(), rated="other").seed


@pytest.mark.parametrize("key", ["", "x" * 201, "a\x00b"])
def test_a_key_that_cannot_be_one_is_refused(key: str) -> None:
    with pytest.raises(BadOutcome):
        names({}, outcome(), key=key)


def test_a_name_is_a_key_of_the_shared_memory() -> None:
    assert len(name({}, outcome("7")).memory_key) == 16


@pytest.mark.parametrize(
    "said",
    [
        Said(at_unix_us=NOW_US, digest=DIGEST),
        Said(at_unix_us=NOW_US, digest=DIGEST, is_told=True),
        Said(at_unix_us=NOW_US, digest=DIGEST, is_told=True, is_found=True),
    ],
)
def test_what_is_remembered_is_read_again_for_a_day(said: Said) -> None:
    packed = said.packed()
    assert len(packed) <= 80
    assert Said.unpacked(packed, NOW_US + REMEMBERED_US) == said
    assert Said.unpacked(packed, NOW_US + REMEMBERED_US + 1) is None


@pytest.mark.parametrize("value", [None, b"", b"x" * 40])
def test_what_was_not_remembered_by_us_is_nothing(value: bytes | None) -> None:
    assert Said.unpacked(value, NOW_US) is None
