import base64
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from proxy.config.load import load
from proxy.config.problems import ConfigError
from proxy.domain.capture import CapturePolicy, CaptureRule, Level

KEY = {"PROMPTLANE_CONTENT_KEY": base64.b64encode(bytes(32)).decode()}
HASH = "hmac-sha256:" + "0" * 64
PROVIDERS = "providers: {openai: {preset: openai}}\n"


def compiled(analytics: str = "", routing: str = "", env: dict[str, str] = KEY) -> CapturePolicy:
    with TemporaryDirectory() as folder:
        for name, text in (("routing.yaml", PROVIDERS + routing), ("analytics.yaml", analytics)):
            (Path(folder) / name).write_text(f"version: 1\n{text}")
        return load(Path(folder), Path(folder) / "pricing.yaml", env).capture


def problems(analytics: str = "", routing: str = "", env: dict[str, str] = KEY) -> str:
    with pytest.raises(ConfigError) as raised:
        compiled(analytics, routing, env)
    return "\n".join(map(str, raised.value.problems))


def test_nothing_is_kept_unless_asked_for() -> None:
    policy = compiled(env={})
    assert not policy.is_wanted
    assert policy.redact == ("keys", "emails")


def test_every_value_arrives_and_what_a_route_does_not_say_is_as_for_all() -> None:
    policy = compiled(
        "capture: {content: tools, sample: 0.5, on_error_only: true, max_bytes: 1KiB, header: widen, redact: [cards],"
        " patterns: {ticket: 'T-\\d+'}, keep: {max_bytes: 1MiB, max_age_days: 0.5}}",
        "models: {gpt-*: {target: openai, capture: {content: full, sample: 1, on_error_only: false}},"
        " gpt-5: {target: openai}}\n"
        f"keys: [{{alias: web, hash: '{HASH}', capture: {{content: none}}}}]",
    )
    base = CaptureRule(level=Level.TOOLS, sample=0.5, on_error_only=True, max_bytes=1024)
    assert policy == CapturePolicy(
        rule=base,
        routes=(("gpt-5", None), ("gpt-*", CaptureRule(level=Level.FULL, max_bytes=1024))),
        keys={"web": CaptureRule(level=Level.NONE, sample=0.5, on_error_only=True, max_bytes=1024)},
        header_widens=True,
        redact=("cards",),
        patterns={"ticket": r"T-\d+"},
        store_max_bytes=1 << 20,
        store_max_age_s=43_200,
    )


ROUTE = "models: {gpt-5: {target: openai, capture: {content: full}}}"
BY_KEY = f"keys: [{{alias: web, hash: '{HASH}', capture: {{content: full}}}}]"


@pytest.mark.parametrize(
    ("analytics", "routing", "place"),
    [
        ("capture: {content: full}", "", "analytics.yaml: capture.content"),
        ("capture: {header: widen}", "", "analytics.yaml: capture.header"),
        ("", ROUTE, "routing.yaml: models.gpt-5.capture"),
        ("", BY_KEY, "routing.yaml: keys"),
    ],
)
@pytest.mark.parametrize(
    ("key", "why"),
    [("", "is not set or empty"), ("c2VjcmV0", "holds 6 bytes and must hold 32"), ("geheim!", "is not base64")],
)
def test_without_a_key_content_is_refused_at_load(analytics: str, routing: str, place: str, key: str, why: str) -> None:
    told = problems(analytics, routing, {"PROMPTLANE_CONTENT_KEY": key})
    assert place in re.sub(r":\d+:\d+:", ":", told)
    assert f"PROMPTLANE_CONTENT_KEY {why}; `openssl rand -base64 32` prints a key for it" in told
    assert not key or key not in told


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ("patterns: {slow: '(?<!a)b'}", "no pattern for a rule: RE2 cannot read it"),
        ("patterns: {any: '.*'}", "matches where there is nothing"),
        ("patterns: {Bad Name: x}", "small letters"),
        ("redact: [names]", "keys, emails, cards"),
        ("content: some", "none, tools, full"),
        ("sample: 2", "1"),
    ],
)
def test_what_is_wrong_is_said(section: str, why: str) -> None:
    assert why in problems(f"capture: {{{section}}}")
