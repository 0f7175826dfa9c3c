import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.flag_definitions import MAX_STEPS, MalformedDefinitionsError, kept_of, read_definitions
from tests.harness.flags import all_of, cohort, condition, definitions, flag, holds

names = st.sampled_from(
    [
        "groups",
        "properties",
        "type",
        "value",
        "values",
        "operator",
        "key",
        "multivariate",
        "variants",
        "dependency_chain",
    ]
)
words = st.sampled_from(["cohort", "regex", "AND", "a", "b", "1"])
json = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=20,
)
conditions = st.lists(st.dictionaries(names, json, max_size=4), max_size=3)
flags = st.fixed_dictionaries(
    {"key": st.sampled_from("ab"), "filters": st.fixed_dictionaries({"groups": conditions}) | json}
)
documents = st.fixed_dictionaries(
    {"flags": st.lists(flags | json, max_size=3)},
    optional={"cohorts": st.dictionaries(st.sampled_from("12"), json) | json, "group_type_mapping": json},
)


def only(definition, **cohorts):
    return read_definitions(definitions(definition, **cohorts)).flags[definition["key"]]


def test_what_a_flag_is():
    made = only(flag("answers", variants={"control": 50, "pv_2": 50}, has_experiment=True))
    assert (made.key, made.is_active, made.variants) == ("answers", True, ("control", "pv_2"))
    assert (made.facts.id, made.facts.version, made.facts.has_experiment) == (7, 3, True)
    assert not made.is_too_costly


def test_payloads_and_descriptions_are_not_kept():
    kept = orjson.dumps(kept_of(definitions(flag("answers"))))
    assert b"a payload" not in kept
    assert b"a name" not in kept


def test_what_was_kept_is_read_as_what_was_sent():
    sent = definitions(
        flag("answers", condition(holds("plan", "regex", "^p"), cohort(1))), c1=all_of(holds("a", "exact", "b"))
    )
    assert read_definitions(kept_of(sent)) == read_definitions(sent)


@pytest.mark.parametrize("document", [None, [], "", {}, {"flags": {}}, {"flags": [{"key": "a"}] * 10_001}])
def test_what_is_no_reply_is_refused(document):
    with pytest.raises(MalformedDefinitionsError):
        read_definitions(document)


@given(documents)
def test_no_list_of_flags_makes_it_stumble(document):
    made = read_definitions(document)
    assert made.flags.keys() <= {"a", "b", "cohort", "regex", "AND", "1"}


def test_expressions_are_taken_out_of_conditions_and_cohorts():
    sent = definitions(
        flag("a", condition(holds("plan", "regex", "^p"), cohort(1))),
        flag("b", condition(holds("plan", "not_regex", "^p"))),
        flag("c", condition(holds("plan", "exact", "^p"))),
        c1=all_of(holds("mail", "regex", "x$")),
    )
    made = read_definitions(sent)
    assert b"regex" not in orjson.dumps([value.rules["filters"] for value in made.flags.values()]).replace(
        b"$regex/", b""
    )
    assert {(regex.key, regex.pattern) for regex in made.flags["a"].regexes} == {("plan", "^p"), ("mail", "x$")}
    (b_only,) = made.flags["b"].regexes
    assert (b_only.key, b_only.pattern) == ("plan", "^p")
    assert made.flags["b"].rules["filters"]["groups"][0]["properties"] == [
        {"key": b_only.name, "operator": "exact", "value": "false", "type": "person"}
    ]
    assert made.flags["c"].regexes == ()


def test_flags_that_a_flag_asks_for_are_known_and_so_are_their_expressions():
    asks = {"type": "flag", "key": "base", "value": True, "operator": "flag_evaluates_to", "dependency_chain": ["base"]}
    made = read_definitions(
        definitions(flag("top", condition(asks)), flag("base", condition(holds("plan", "regex", "x"))))
    )
    assert made.flags["top"].needs == ("base",)
    assert [regex.pattern for regex in made.flags["top"].regexes] == ["x"]


@pytest.mark.parametrize(
    ("filters", "cohorts"),
    [
        pytest.param([cohort(1)], {"c1": all_of(cohort(1))}, id="a cohort of itself"),
        pytest.param([cohort(1)], {"c1": all_of(cohort(2)), "c2": all_of(cohort(1))}, id="two cohorts of each other"),
        pytest.param(
            [cohort(1)],
            {f"c{number}": all_of(cohort(number + 1), cohort(number + 1)) for number in range(1, 20)},
            id="cohorts that double at each step",
        ),
        pytest.param([holds("id", "exact", [str(number) for number in range(MAX_STEPS)])] * 2, {}, id="a long list"),
    ],
)
def test_a_flag_that_takes_too_many_steps_is_marked(filters, cohorts):
    assert only(flag("costly", condition(*filters)), **cohorts).is_too_costly


def test_a_list_of_some_thousand_people_is_no_trouble():
    assert not only(flag("listed", condition(holds("id", "exact", [str(n) for n in range(4_000)])))).is_too_costly
