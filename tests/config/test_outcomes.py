import pytest

from proxy.config.analytics import AnalyticsFile
from proxy.config.document import parse_document
from proxy.config.outcomes import compile_outcomes
from proxy.config.schema import check_document
from proxy.domain.policy import OutcomePolicy, PublishableKey


def compiled(text: str) -> tuple[OutcomePolicy, list[str]]:
    document = parse_document("a", f"version: 1\noutcomes: {{{text}}}\n".encode(), {})
    file = check_document(document, AnalyticsFile) or AnalyticsFile(version=1)
    return compile_outcomes(document, file.outcomes), [str(problem) for problem in document.problems]


def test_nothing_is_open_unless_somebody_says_so() -> None:
    assert compiled("") == (OutcomePolicy(), [])


def test_every_value_arrives() -> None:
    text = (
        "feedback_token_hours: 24, publishable_keys: [{key: plp_support_pages, alias: web}], "
        'origins: ["https://app.example.com", "http://localhost:3000", "http://[::1]:3000"]'
    )
    policy, problems = compiled(text)
    assert problems == []
    assert policy == OutcomePolicy(
        feedback_token_s=86_400,
        publishable_keys=(PublishableKey("plp_support_pages", "web"),),
        origins=frozenset({"https://app.example.com", "http://localhost:3000", "http://[::1]:3000"}),
    )


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("feedback_token_hours: 0", "feedback_token_hours", "more than 0"),
        ("feedback_token_hours: 9000", "feedback_token_hours", "at most 8760"),
        ('origins: ["*"]', "origins.0", "without `*`"),
        ('origins: ["https://*.example.com"]', "origins.0", "without `*`"),
        ('origins: ["https://app.example.com/"]', "origins.0", "without a path"),
        ('origins: ["https://App.example.com"]', "origins.0", "lower case"),
        ('origins: ["null"]', "origins.0", "scheme, host and port"),
        ('origins: ["app.example.com"]', "origins.0", "scheme, host and port"),
        ("publishable_keys: [{key: plk_0123456789abcd, alias: web}]", "publishable_keys.0.key", ""),
        ("publishable_keys: [{key: plp_short, alias: web}]", "publishable_keys.0.key", "12 to 64"),
        ("publishable_keys: [{key: plp_support_pages}]", "publishable_keys.0", "alias"),
        (
            "publishable_keys: [{key: plp_support_pages, alias: a}, {key: plp_support_pages, alias: b}]",
            "publishable_keys.1.key",
            "stands above",
        ),
    ],
)
def test_what_is_wrong_is_named(text: str, place: str, problem: str) -> None:
    (found,) = compiled(text)[1]
    assert f" outcomes.{place}" in found
    assert problem in found
