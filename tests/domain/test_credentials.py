import pytest

from proxy.domain.credentials import authenticate, is_token, may_use
from proxy.domain.errors import BadRequest, Unauthenticated
from proxy.domain.fields import NO_FIELDS, fields_of
from proxy.domain.identity import VirtualKey

WEB, BATCH = VirtualKey(alias="web"), VirtualKey(alias="batch")


class Keys:
    """Two known keys."""

    def find(self, presented: str) -> VirtualKey | None:
        return {"plk_web": WEB, "plk_batch": BATCH}.get(presented)


@pytest.mark.parametrize(
    ("header", "value", "place"),
    [
        ("X-Promptlane-Key", "plk_web", "x-promptlane-key"),
        ("Authorization", "Bearer plk_web", "authorization"),
        ("authorization", "bearer  plk_web ", "authorization"),
        ("x-api-key", "plk_web", "x-api-key"),
        ("api-key", "plk_web", "api-key"),
        ("x-goog-api-key", "plk_web", "x-goog-api-key"),
        ("Authorization", "plk_web", "authorization"),
        ("Authorization", "Bearer\tplk_web", "authorization"),
        ("x-api-key", "Bearer plk_web", "x-api-key"),
    ],
)
def test_a_proxy_key_is_found_where_the_sdks_put_keys(header: str, value: str, place: str) -> None:
    found = authenticate(fields_of([(header, value)]), "", Keys())
    assert found.key is WEB
    assert found.spent_headers == {place}


@pytest.mark.parametrize("query", ["alt=sse&key=plk%5Fweb", "%6Bey=plk_web", "KEY=+plk_web"])
def test_a_proxy_key_in_the_query_is_found(query: str) -> None:
    found = authenticate(NO_FIELDS, query, Keys())
    assert found.key is WEB
    assert found.spent_query


def test_a_provider_key_passes_untouched() -> None:
    found = authenticate(fields_of([("Authorization", "Bearer sk-theirs")]), "key=AIza", Keys())
    assert found.key is None
    assert not found.spent_headers
    assert not found.spent_query


def test_a_proxy_key_may_stand_beside_a_provider_s() -> None:
    found = authenticate(
        fields_of([("Authorization", "Bearer sk-theirs"), ("X-Promptlane-Key", "plk_web")]), "", Keys()
    )
    assert found.key is WEB
    assert found.spent_headers == {"x-promptlane-key"}


@pytest.mark.parametrize(
    "header",
    [
        ("X-Promptlane-Key", "anything"),
        ("Authorization", "Bearer plk_unknown"),
        ("x-api-key", "plk_unknown"),
        ("Authorization", "Token plk_unknown"),
        ("Authorization", "plk_unknown, and more"),
    ],
)
def test_what_looks_like_a_proxy_key_and_is_not_known_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        authenticate(fields_of([header]), "", Keys())
    assert header[1].split()[-1] not in refused.value.public_message


def test_an_empty_proxy_key_is_none() -> None:
    with pytest.raises(Unauthenticated):
        authenticate(fields_of([("X-Promptlane-Key", " ")]), "", Keys())


def test_two_different_proxy_keys_are_ambiguous_and_one_twice_is_not() -> None:
    with pytest.raises(BadRequest, match="Two different"):
        authenticate(fields_of([("Authorization", "Bearer plk_web"), ("x-api-key", "plk_batch")]), "", Keys())
    assert (
        authenticate(fields_of([("Authorization", "Bearer plk_web"), ("x-api-key", "plk_web")]), "", Keys()).key is WEB
    )


def test_allow_globs_decide_the_models_of_a_key() -> None:
    key = VirtualKey(alias="a", allow=("gpt-4*", "fast"))
    assert may_use(key, "gpt-4.1")
    assert may_use(key, "fast")
    assert not may_use(key, None)
    assert may_use(VirtualKey(alias="a", allow=("*",)), None)
    assert not may_use(key, "claude-opus-5")
    assert not may_use(key, "GPT-4.1")


@pytest.mark.parametrize(
    ("given", "expected", "is_same"),
    [
        ("secret", "secret", True),
        ("\udcff", "\udcff", True),  # a byte that is no UTF-8, in a header and in a variable
        ("secre", "secret", False),
        ("", "", False),
        ("", None, False),
        ("None", None, False),
    ],
)
def test_a_token_that_is_not_set_opens_nothing(given: str, expected: str | None, is_same: bool) -> None:
    assert is_token(given, expected) is is_same
