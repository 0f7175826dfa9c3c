import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.dashboards.plan import covers, found, key_of, marked

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_everything_covers_itself(value: object) -> None:
    assert covers(value, value)


@pytest.mark.parametrize(
    ("has", "wanted", "is_covered"),
    [
        ({"a": 1, "added": 2}, {"a": 1}, True),
        ({"a": {"b": [{"c": 1, "added": 2}]}}, {"a": {"b": [{"c": 1}]}}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1, 2, 3], [1, 2], False),
        ([2, 1], [1, 2], False),
        (None, {}, False),
        ("1", 1, False),
    ],
)
def test_the_server_may_say_more_but_not_else(has: object, wanted: object, is_covered: bool) -> None:
    assert covers(has, wanted) is is_covered


@pytest.mark.parametrize(
    ("description", "key"),
    [
        (marked("What it shows.", "traffic/error-rate"), "traffic/error-rate"),
        (marked("", "experiment-support_answer") + "\n ", "experiment-support_answer"),
        ("[promptlane:traffic] and then something of mine", None),
        ("about promptlane:traffic", None),
        ("[promptlane:a/b/c]", None),
        (None, None),
        (7, None),
    ],
)
def test_only_a_marker_at_the_end_is_ours(description: object, key: str | None) -> None:
    assert key_of(description) == key


def test_of_two_with_one_key_the_older_is_ours() -> None:
    mark = marked("d", "traffic")
    objects = [{"id": 7, "description": mark}, {"id": 3, "description": mark}, {"id": 1, "description": "mine"}]
    assert [one.id for one in found(objects)] == [3]
    deleted = {"id": 3, "description": mark, "deleted": True}
    assert [one.id for one in found([objects[0], deleted])] == [7]
