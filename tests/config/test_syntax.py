import pytest
import yaml

from proxy.config.syntax import explain, place_of


def explained(text: str) -> tuple[tuple[int, int], str]:
    with pytest.raises(yaml.MarkedYAMLError) as caught:
        yaml.compose(text, yaml.SafeLoader)
    return explain(caught.value, text)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a:\n\tb: 1", (2, 1), "a tab"),
        ("a: {b: 1", (1, 9), "the bracket of line 1, column 4 is open"),
        ("a: 'b\nc: 1", (1, 4), "never closed"),
        ("a: b: c", (1, 5), "a second `: `"),
        ("a: 1\n  b: 2", (2, 4), "indented further"),
        ("a\nb: 1", (2, 2), "the line above is no `key: value`"),
        ("a: 1\nb\nc: 1", (2, 1), "expected `key: value`"),
        ("tag escape alias: @", (1, 19), "begins with @"),
        ("a: 1\n<<<<<<< ours\n", (2, 1), "merge conflict"),
        ("%YAML 3.0\n---\na: 1", (1, 1), "not valid YAML"),
    ],
)
def test_the_mistake_is_named_where_it_was_made(text: str, place: tuple[int, int], words: str) -> None:
    found, message = explained(text)
    assert found == place
    assert words in message


def test_an_error_without_a_place_has_the_first() -> None:
    assert explain(yaml.MarkedYAMLError(), "a") == ((1, 1), "this is not valid YAML")


@pytest.mark.parametrize(("index", "place"), [(0, (1, 1)), (1, (1, 2)), (3, (2, 1)), (4, (2, 2))])
def test_places_count_from_one(index: int, place: tuple[int, int]) -> None:
    assert place_of("ab\ncd", index) == place
