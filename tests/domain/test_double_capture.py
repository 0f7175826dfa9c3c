import pytest

from proxy.domain.double_capture import is_wrapped_by_posthog
from proxy.domain.fields import NO_FIELDS, fields_of


@pytest.mark.parametrize(
    "value", ["PostHogOpenAI/JS 6.49.0", "PostHogAzureOpenAI/JS 6.49.0", "PostHogAnthropic/JS 0.78.0"]
)
@pytest.mark.parametrize("name", ["User-Agent", "user-agent"])
def test_a_client_that_names_itself_as_a_wrapper_is_one(name: str, value: str) -> None:
    """As `@posthog/ai` 6 to 8 was seen to call."""
    assert is_wrapped_by_posthog(fields_of([("Accept", "*/*"), (name, value)]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("User-Agent", "OpenAI/JS 6.49.0"),
        ("User-Agent", "Anthropic/JS 0.125.0"),
        ("User-Agent", "OpenAI/Python 3.57.0"),
        ("User-Agent", "posthog-node/5.70.0"),
        ("User-Agent", "MyApp PostHogOpenAI/JS 6.49.0"),
        ("User-Agent", "PostHogOpenAI"),
        ("X-Title", "PostHogOpenAI/JS 6.49.0"),
    ],
)
def test_others_are_not(name: str, value: str) -> None:
    assert not is_wrapped_by_posthog(fields_of([(name, value)]))
    assert not is_wrapped_by_posthog(NO_FIELDS)
