import pytest

from proxy.domain.tool_calls import ID_LIMIT_CHARS, ToolCallDraft, is_drawn


def digest(*pieces: str) -> bytes:
    draft = ToolCallDraft("call_1")
    for piece in pieces:
        draft.add_arguments(piece)
    return draft.finished().arguments


def test_the_same_arguments_are_the_same_however_they_are_cut_and_spaced() -> None:
    whole = digest('{"city": "Paris", "days": 3}')
    assert digest('{"city":"Par', 'is","days"', ":3}") == whole
    assert digest('{"city":"Rome","days":3}') != whole


def test_ids_are_bounded() -> None:
    assert len(ToolCallDraft("x" * 1_000).finished().id) == ID_LIMIT_CHARS


@pytest.mark.parametrize(
    "call_id",
    [
        "call_7Gk2aVbQ0pLm3nXyZ1cD4eFg",
        "toolu_01A09q90qw90lq917835lq9",
        "chatcmpl-tool-1d0f3c8f7f2a4a3f9b1f7c1d2e3f4a5b",
        "D681PevKs",
        "9f1c2d3e-4b5a-6789-8abc-def012345678",
        "function-call-12345678901234567",
    ],
)
def test_ids_that_are_drawn(call_id: str) -> None:
    assert is_drawn(call_id)


@pytest.mark.parametrize(
    "call_id", ["", "0", "call_1", "call_000001", "functions.get_weather:0", "call_search_orders_2"]
)
def test_ids_that_are_counted(call_id: str) -> None:
    assert not is_drawn(call_id)
