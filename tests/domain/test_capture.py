from dataclasses import replace

import pytest

from proxy.domain.capture import RAW_SHARE, CapturePolicy, CaptureRule, Level, Tap, tap_of
from proxy.domain.fields import NO_FIELDS, fields_of

NONE, TOOLS, FULL = (CaptureRule(level=level) for level in Level)


def level_of(policy: CapturePolicy, *headers: tuple[str, str], model: str = "gpt-4.1", key: str | None = None) -> Level:
    tap = tap_of(policy, fields_of(headers), model=model, key_alias=key, trace_id="t")
    return tap.rule.level if tap is not None else Level.NONE


def test_by_default_nothing_is_kept_whatever_a_caller_says() -> None:
    assert not CapturePolicy().is_wanted
    assert level_of(CapturePolicy(), ("X-LLM-Capture-Content", "true")) is Level.NONE


@pytest.mark.parametrize(
    ("base", "route", "key", "kept"),
    [
        (NONE, FULL, None, "full"),
        (NONE, None, TOOLS, "tools"),
        (FULL, None, None, "full"),
        (FULL, NONE, None, "none"),
        (FULL, None, NONE, "none"),
        (NONE, FULL, TOOLS, "tools"),
        (FULL, NONE, FULL, "none"),
        (TOOLS, FULL, FULL, "full"),
    ],
)
def test_route_and_key_count_before_all_and_the_narrower_of_them_wins(
    base: CaptureRule, route: CaptureRule | None, key: CaptureRule | None, kept: str
) -> None:
    routes = (("gpt-4.1", route), ("gpt-*", FULL)) if route is not None else ()
    policy = CapturePolicy(rule=base, routes=routes, keys={"web": key} if key is not None else {})
    assert policy.is_wanted
    assert level_of(policy, key="web") == kept


def test_the_first_route_that_matches_is_the_calls_route_also_where_it_says_nothing() -> None:
    policy = CapturePolicy(routes=(("gpt-4.1", None), ("gpt-*", FULL)))
    assert level_of(policy) is Level.NONE
    assert level_of(policy, model="gpt-5") is Level.FULL


@pytest.mark.parametrize(
    ("name", "value", "narrow", "widen"),
    [
        ("X-LLM-Capture-Content", "false", "none", "none"),
        ("x-llm-capture-content", " TRUE ", "tools", "full"),
        ("x-llm-capture-content", "perhaps", "none", "none"),
        ("x-litellm-enable-message-redaction", "true", "none", "none"),
        ("x-litellm-enable-message-redaction", "false", "tools", "tools"),
        ("x-other", "false", "tools", "tools"),
    ],
)
def test_a_header_narrows_and_widens_only_where_it_may(name: str, value: str, narrow: str, widen: str) -> None:
    policy = CapturePolicy(rule=TOOLS)
    assert level_of(policy, (name, value)) == narrow
    assert level_of(replace(policy, header_widens=True), (name, value)) == widen


def test_a_caller_may_leave_out_one_half() -> None:
    omit = [("Helicone-Omit-Request", "true"), ("Helicone-Omit-Response", "true")]
    policy = CapturePolicy(rule=FULL)
    without_request, without_reply = (
        tap_of(policy, fields_of([header]), model=None, key_alias=None, trace_id="t") for header in omit
    )
    assert without_request is not None
    assert without_reply is not None
    for tap in (without_request, without_reply):
        tap.feed(b"reply")
    assert (without_request.with_request, without_request.pieces) == (False, [b"reply"])
    assert (without_reply.with_request, without_reply.pieces) == (True, [])
    assert level_of(policy, *omit) is Level.NONE


def test_whole_traces_are_sampled() -> None:
    policy = CapturePolicy(rule=replace(FULL, sample=0.5))
    kept = {
        number
        for number in range(200)
        if tap_of(policy, NO_FIELDS, model=None, key_alias=None, trace_id=f"t{number}") is not None
    }
    assert 50 < len(kept) < 150


def test_a_tap_holds_so_much_of_the_last_attempt() -> None:
    tap = Tap(CaptureRule(max_bytes=1))
    tap.feed(b"failed")
    tap.begin()
    for piece in (b"12345", b"678", b"beyond"):
        tap.feed(piece)
    assert tap.pieces == [b"12345", b"678"]
    assert RAW_SHARE == 8
