import pytest

from proxy.config.document import Document, parse_document
from proxy.config.routing import RoutingFile
from proxy.config.routing_table import compile_keys, compile_limits, compile_routing
from proxy.config.schema import check_document
from proxy.domain.endpoints import Dialect
from proxy.domain.identity import VirtualKey
from proxy.domain.limits import Limits
from proxy.domain.routing import Provider, RetryPolicy, RoutingTable, Timeouts

HASH = "hmac-sha256:" + "0a" * 32
ENV = {"OPENAI_API_KEY": "sk-test", "LOCAL_KEY": "local"}


def compiled(text: str, **env: str) -> tuple[RoutingTable, Document, RoutingFile]:
    document = parse_document("r", b"version: 1\n" + text.encode(), {**ENV, **env})
    file = check_document(document, RoutingFile) or RoutingFile(version=1)
    return compile_routing(document, file, {**ENV, **env}), document, file


def table(text: str, **env: str) -> RoutingTable:
    routing, document, _ = compiled(text, **env)
    assert document.problems == []
    return routing


def problems(text: str, **env: str) -> list[str]:
    return [str(problem) for problem in compiled(text, **env)[1].problems]


def only_provider(text: str, **env: str) -> Provider:
    return table(f"providers: {{p: {text}}}", **env).providers["p"]


def test_without_a_word_there_is_pass_through_for_each_dialect() -> None:
    routing = table("")
    assert [(each.name, each.label, each.base_url, each.api_key) for each in routing.providers.values()] == [
        ("openai", "openai", "https://api.openai.com/v1", None),
        ("anthropic", "anthropic", "https://api.anthropic.com", None),
        ("gemini", "google", "https://generativelanguage.googleapis.com", None),
    ]
    assert {dialect.value: provider and provider.name for dialect, provider in routing.defaults.items()} == {
        "openai": "openai", "anthropic": "anthropic", "gemini": "gemini",
    }  # fmt: skip
    assert routing.routes == ()


def test_a_variable_replaces_a_presets_address_but_not_a_written_one() -> None:
    url = "http://127.0.0.1:9/v1/"
    assert table("", OPENAI_UPSTREAM_URL=url).providers["openai"].base_url == "http://127.0.0.1:9/v1"
    assert (
        only_provider("{preset: openai, base_url: 'https://b.test'}", OPENAI_UPSTREAM_URL=url).base_url
        == "https://b.test"
    )
    assert only_provider("{preset: groq}", OPENAI_UPSTREAM_URL=url).base_url == "https://api.groq.com/openai/v1"
    assert problems("", OPENAI_UPSTREAM_URL="nonsense") == [
        "environment: OPENAI_UPSTREAM_URL: an address starts with http:// or https:// and names a host"
    ]


def test_a_preset_may_be_overridden_in_every_key() -> None:
    provider = only_provider(
        "{preset: groq, kind: anthropic, base_url: 'http://h/', key_env: LOCAL_KEY, include_usage: inject,"
        " timeouts: {connect_s: 1.5, first_byte_s: 60, idle_s: 120, total_s: 5}}"
    )
    assert (provider.kind, provider.dialect, provider.base_url) == ("anthropic", Dialect.ANTHROPIC, "http://h")
    assert (provider.api_key, provider.include_usage) == ("local", "inject")
    assert provider.timeouts == Timeouts(connect_s=1.5, first_byte_s=60, idle_s=120, total_s=5)


@pytest.mark.parametrize(
    ("section", "label", "include_usage"),
    [
        ("{preset: openai}", "openai", "auto"),
        ("{preset: gemini}", "google", "auto"),
        ("{preset: groq}", "groq", "never"),
        ("{preset: vllm}", "vllm", "auto"),
        ("{kind: openai, base_url: 'https://openrouter.ai/api/v1'}", "openrouter", "never"),
        ("{kind: openai, base_url: 'https://api.openai.com/v1'}", "openai", "auto"),
        ("{kind: openai, base_url: 'http://127.0.0.1:8000/v1'}", "p", "auto"),
        ("{kind: anthropic, base_url: 'https://gateway.test'}", "p", "auto"),
        ("{kind: azure_openai, base_url: 'https://x.openai.azure.com'}", "azure_openai", "auto"),
        ("{kind: gemini, base_url: 'https://gateway.test'}", "google", "auto"),
    ],
)
def test_a_label_tells_the_vendor_where_it_is_known(section: str, label: str, include_usage: str) -> None:
    provider = only_provider(section)
    assert (provider.label, provider.include_usage) == (label, include_usage)


def test_models_become_routes_in_order_of_precedence() -> None:
    routing = table(
        "providers: {ours: {preset: openai, key_env: OPENAI_API_KEY}, local: {preset: vllm, key_env: LOCAL_KEY}}\n"
        "models:\n"
        '  "*": {target: local}\n'
        "  fast:\n"
        "    targets: [{provider: ours, model: gpt-4.1-mini, weight: 9}, {provider: local, model: qwen3}]\n"
        "    fallback: [ours/gpt-4.1, local/org/model]\n"
        '    retries: {max: 2, on: [connect, 429, "5xx"]}\n'
        '  "gpt-*": {target: ours}\n'
    )
    assert [route.pattern for route in routing.routes] == ["fast", "gpt-*", "*"]
    fast = routing.routes[0]
    assert [(target.label, target.weight) for target in fast.targets] == [("ours/gpt-4.1-mini", 9), ("local/qwen3", 1)]
    assert [target.label for target in fast.fallback] == ["ours/gpt-4.1", "local/org/model"]
    assert fast.retries == RetryPolicy(max=2, on=frozenset({"connect", "429", "5xx"}))
    assert routing.routes[1].retries == RetryPolicy()


@pytest.mark.parametrize(
    ("text", "defaults"),
    [
        ("providers: {a: {preset: groq}}", {"openai": "a", "anthropic": None, "gemini": None}),
        ("providers: {a: {preset: groq}, b: {preset: xai}}", {"openai": None, "anthropic": None, "gemini": None}),
        (
            "providers: {a: {preset: groq}, openai: {preset: xai}}",
            {"openai": "openai", "anthropic": None, "gemini": None},
        ),
        ("default_provider: {openai: null}", {"openai": None, "anthropic": "anthropic", "gemini": "gemini"}),
        (
            "providers: {a: {preset: groq}, openai: {preset: xai}}\ndefault_provider: {openai: a}",
            {"openai": "a", "anthropic": None, "gemini": None},
        ),
    ],
)
def test_the_default_of_a_dialect(text: str, defaults: dict[str, str | None]) -> None:
    found = table(text).defaults
    assert {dialect.value: provider and provider.name for dialect, provider in found.items()} == defaults


AZURE = "providers: {a: {preset: azure_openai}}"
MIXED = "providers: {a: {preset: groq}, b: {preset: anthropic}, c: {preset: xai, key_env: LOCAL_KEY}}\n"


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        (
            "providers: {a: {kind: translated}}",
            "r:2:17: providers.a.kind",
            "this version does not translate between dialects; name a host that speaks the client's",
        ),
        (
            "providers: {a: {base_url: 'https://x'}}",
            "r:2:13: providers.a",
            "give a `kind` (the wire dialect) or a `preset` (a known host)",
        ),
        (AZURE, "r:2:13: providers.a", "`base_url` is required here"),
        ("providers: {a: {kind: openai}}", "r:2:13: providers.a", "`base_url` is required here"),
        (
            "providers: {a: {preset: groq, key_env: GONE}}",
            "r:2:31: providers.a.key_env",
            "the environment variable GONE is not set or empty",
        ),
        (
            "providers: {a: {preset: groq, key_env: BAD}}",
            "r:2:31: providers.a.key_env",
            "the environment variable BAD holds characters that no key has",
        ),
        (
            "providers: {a: {preset: groq, key_env: LOCAL_KEY, credentials: passthrough}}",
            "r:2:51: providers.a.credentials",
            "`credentials: passthrough` and `key_env` exclude each other",
        ),
        (MIXED + "models: {m: {}}", "r:3:10: models.m", "give one of `target`, `targets` and `rollout`"),
        (
            MIXED + "models: {m: {target: a, targets: [{provider: a}]}}",
            "r:3:10: models.m",
            "give one of `target`, `targets` and `rollout`",
        ),
        (
            MIXED + "models: {m: {target: aa}}",
            "r:3:14: models.m.target",
            "unknown provider `aa`; did you mean `a`? known: a, b, c",
        ),
        (
            MIXED + "models: {m: {target: a, fallback: [x/y]}}",
            "r:3:36: models.m.fallback.0",
            "unknown provider `x`; known: a, b, c",
        ),
        (
            MIXED + "models: {m: {target: a, fallback: [b]}}",
            "r:3:10: models.m",
            "all targets of one model must speak one dialect, and a speaks openai, b speaks anthropic",
        ),
        (
            MIXED + "models: {m: {target: a, fallback: [c]}}",
            "r:3:10: models.m",
            "all targets of one model need a `key_env`, or none: a passes the caller's key",
        ),
        (
            MIXED + "models: {m: {targets: [{provider: a, weight: 0}]}}",
            "r:3:14: models.m.targets",
            "at least one target needs a weight above 0",
        ),
        (
            MIXED + "default_provider: {openai: b}",
            "r:3:20: default_provider.openai",
            "this provider speaks anthropic, not openai",
        ),
        (
            MIXED + "default_provider: {openai: d}",
            "r:3:20: default_provider.openai",
            "unknown provider `d`; known: a, b, c",
        ),
    ],
)
def test_each_fault_is_named_where_it_is_written(text: str, place: str, problem: str) -> None:
    assert problems(text, BAD="a\nb") == [f"{place}: {problem}"]


def test_a_broken_provider_is_reported_once_and_not_where_it_is_used() -> None:
    assert problems("providers: {a: {preset: grok}}\nmodels: {m: {target: a}}\ndefault_provider: {openai: a}") == [
        "r:2:17: providers.a.preset: unknown preset `grok`; did you mean `groq`?"
    ]


def test_keys() -> None:
    _, document, file = compiled(
        f"keys:\n  - {{alias: web, hash: '{HASH}', environment: staging, allow: [gpt-*]}}\n"
        f"  - {{alias: all, hash: '{HASH.replace('0a', '0b')}'}}\n"
    )
    web, everything = compile_keys(document, file)
    assert document.problems == []
    assert web.key == VirtualKey(alias="web", environment="staging", allow=("gpt-*",))
    assert (everything.key, everything.digest) == (VirtualKey(alias="all"), bytes.fromhex("0b" * 32))


def test_an_alias_or_a_hash_stands_once() -> None:
    _, document, file = compiled(f"keys:\n  - {{alias: a, hash: '{HASH}'}}\n  - {{alias: a, hash: '{HASH}'}}\n")
    compile_keys(document, file)
    assert [problem.path for problem in document.problems] == ["keys.1.alias", "keys.1.hash"]


def test_limits_have_the_contracts_defaults() -> None:
    _, _, file = compiled("")
    assert compile_limits(file) == Limits()
    assert file.limits.drain_s == 30
    _, _, file = compiled("limits: {body_bytes: 1MiB, streamed_bytes: 2MiB, body_silence_s: 3, drain_s: 0}")
    assert compile_limits(file) == Limits(body_bytes=2**20, streamed_bytes=2**21, body_silence_s=3.0)
