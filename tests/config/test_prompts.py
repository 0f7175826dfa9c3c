import pytest
from pydantic import ValidationError

from proxy.config.prompts import TextSection


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ({"file": "prompts/a.md"}, "prompts/a.md"),
        ({"file": "..a/b..md"}, "..a/b..md"),
        ({"posthog": "support", "version": 3}, "prompts/posthog/support.v3.md"),
        ({"posthog": "support"}, None),
        ({"version": 3}, None),
        ({"file": "a.md", "version": 3}, None),
        ({"file": "a.md", "posthog": "support", "version": 3}, None),
        ({}, None),
    ],
)
def test_a_text_stands_in_one_place(written: dict[str, object], place: str | None) -> None:
    assert TextSection.model_validate(written).place == place


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.md", "a/../b.md", "a/..", "..", "C:\\a", "a\nb", "", "x" * 201])
def test_a_file_is_below_the_folder(name: str) -> None:
    with pytest.raises(ValidationError):
        TextSection(file=name)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "", ".hidden", "a b"])
def test_a_prompt_of_posthog_s_is_no_path(name: str) -> None:
    with pytest.raises(ValidationError):
        TextSection(posthog=name, version=1)
