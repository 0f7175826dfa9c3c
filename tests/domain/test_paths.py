import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.errors import BadRequest
from proxy.domain.paths import check_host, is_local_host, parse_target, query_names


@pytest.mark.parametrize(
    ("raw", "path", "query"),
    [
        ("/v1/chat/completions", "/v1/chat/completions", ""),
        ("/v1/models?limit=2&after=a%2Fb", "/v1/models", "limit=2&after=a%2Fb"),
        ("/v1beta/models/gemini-3:generateContent?key=k", "/v1beta/models/gemini-3:generateContent", "key=k"),
        ("/v1/files/file-1/content/", "/v1/files/file-1/content/", ""),
    ],
)
def test_a_target_keeps_its_bytes(raw: str, path: str, query: str) -> None:
    target = parse_target(raw)
    assert (target.raw_path, target.raw_query) == (path, query)
    assert target.is_gateway


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "*",
        "http://evil.example/v1/models",
        "//evil.example/v1/models",
        "/v1/../admin",
        "/v1/./models",
        "/v1/%2e%2e/admin",
        "/v1/%2fadmin",
        "/v1/%5cadmin",
        "/v1/%252e%252e/admin",
        "/v1//models",
        "/v1/models;x",
        "/v1/\\evil",
        "/v1/models%0d%0aX:y",
        "/v1/models%00",
        "/v1/models%zz",
        "/v1/ch%61t/completions",
        "/v1/%4dodels",
        "/v%31/models",
        "/v1/mod els",
        "/v1/models?a=\u00e9",
        "/v1/models?a#b",
    ],
)
def test_ambiguous_targets_are_refused(raw: str) -> None:
    with pytest.raises(BadRequest):
        parse_target(raw)


@given(st.text(max_size=60))
def test_no_target_crashes_and_none_that_passes_has_a_dot_segment(raw: str) -> None:
    try:
        target = parse_target("/v1/" + raw)
    except BadRequest:
        return
    assert ".." not in target.raw_path.split("/")
    assert "\\" not in target.raw_path
    assert target.raw_path.isascii()


def test_paths_outside_the_gateway_are_told_apart() -> None:
    assert not parse_target("/healthz").is_gateway
    assert not parse_target("/v1").is_gateway
    assert not parse_target("/v1/v1/messages").is_gateway
    assert parse_target("/v1/v1").is_gateway
    assert not parse_target("/v10/models").is_gateway


@pytest.mark.parametrize("host", ["api.local", "127.0.0.1:4000", "[::1]:4000", "localhost", "a-b.example:1"])
def test_plain_hosts_pass(host: str) -> None:
    check_host(host)


@pytest.mark.parametrize("host", [None, "", "x/#", "a@b", "a b", "a:b", "a?b", "[::1", "h:123456"])
def test_odd_hosts_are_refused(host: str | None) -> None:
    with pytest.raises(BadRequest):
        check_host(host)


@pytest.mark.parametrize("host", ["127.0.0.1:4000", "LOCALHOST", "[::1]"])
def test_this_machine_is_known_by_its_names_alone(host: str) -> None:
    assert is_local_host(host)
    assert not is_local_host(f"{host}.evil.example")
    assert not is_local_host("")


def test_query_names_are_what_they_decode_to_in_lower_case() -> None:
    assert query_names("K%65y=a&alt=sse&&flag") == {"key", "alt", "flag"}
