import pytest

from proxy.config.addresses import base_address, host_of, posthog_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
    ],
)
def test_an_address_loses_its_trailing_slash_alone(text: str, expected: str) -> None:
    assert base_address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "api.openai.com", "ftp://x", "file:///etc/passwd", "http://", "http:///v1", "https://u:hidden@x/v1",
        "https://hidden@x", "https://x/?a=hidden", "https://x/#f", "https://x?", "https://x:99999", "https://x:0",
        "https://x:a", "https://x/a b", "https://x/a\nb", "https://x/é", "https://[x", "https://x/a/../b", "https://x//a",
        "https://x/%2e%2e",
    ],
)  # fmt: skip
def test_what_is_no_base_address_is_refused_without_an_echo(text: str) -> None:
    with pytest.raises(ValueError, match="address") as caught:
        base_address(text)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://us.posthog.com", "https://us.i.posthog.com"),
        ("https://app.posthog.com/", "https://us.i.posthog.com"),
        ("https://eu.posthog.com/project/1", "https://eu.i.posthog.com"),
        ("https://eu.i.posthog.com", "https://eu.i.posthog.com"),
        ("http://127.0.0.1:9000/ingest/", "http://127.0.0.1:9000/ingest"),
    ],
)
def test_the_apps_hosts_become_the_ingestion_hosts(text: str, expected: str) -> None:
    assert posthog_address(text) == expected


def test_a_host_is_lower_case_and_has_no_port() -> None:
    assert host_of("https://API.OpenAI.com:443/v1") == "api.openai.com"
