from datetime import date
from pathlib import Path

import pytest

from proxy.config.advice import advise
from proxy.config.load import load

TODAY = date(2026, 11, 23)
HASH = "hmac-sha256:" + "0" * 64
OURS = "providers: {ours: {preset: openai, key_env: OURS}, groq: {preset: groq}}\n"


def advice(folder: Path, *, env: dict[str, str] | None = None, **files: str) -> list[str]:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(f"version: 1\n{text}")
    env = {"OURS": "sk-hidden", **(env or {})}
    found = advise(load(folder, folder / "pricing.yaml", env), env, TODAY)
    return [str(problem).replace(f"{folder}/", "") for problem in found]


def test_without_a_word_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert advice(tmp_path, env={"POSTHOG_API_KEY": "phc_x", "PROMPTLANE_PORT": "4000", "HOME": "/"}) == []


def test_a_whole_configuration_may_be_without_fault(tmp_path: Path) -> None:
    text = (
        OURS
        + "models: {fast: {target: ours/gpt-4.1, fallback: [ours/gpt-4.1-mini], retries: {max: 1, on: [connect]}}}\n"
        + "default_provider: {openai: ours}\n"
        + f"keys: [{{alias: web, hash: '{HASH}', allow: ['fa*', 'gpt-*']}}]\n"
    ).replace(", groq: {preset: groq}", "")
    assert advice(tmp_path, routing=text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "providers: {openai: {preset: openai}, groq: {preset: groq}}",
            ["2:39: providers.groq: no model and no default_provider leads here; name it there, or take it out"],
        ),
        (
            "providers: {ours: {preset: openai, key_env: OURS}}",
            ["2:36: providers.ours.key_env: nobody can use it: callers need a proxy key; "
             "add one with `promptlane keys new`"],
        ),
        (
            "providers: {openai: {preset: openai, include_usage: never}}",
            ["2:38: providers.openai.include_usage: this host tells a stream's tokens only when asked; "
             "they will be estimates"],
        ),
        (
            "providers: {openai: {kind: openai, base_url: 'https://api.openai.com'}}",
            ["2:36: providers.openai.base_url: calls to this host go to https://api.openai.com/v1"],
        ),
        (
            "providers: {gemini: {kind: gemini, base_url: 'https://generativelanguage.googleapis.com/v1beta'}}",
            ["2:36: providers.gemini.base_url: leave /v1beta off: callers send it"],
        ),
        (
            "providers: {azure: {kind: azure_openai, base_url: 'https://us.openai.azure.com'}}",
            ["2:41: providers.azure.base_url: Azure takes these calls at https://us.openai.azure.com/openai/v1"],
        ),
        (
            "providers: {a: {kind: openai, base_url: 'https://us.openai.azure.com/openai/deployments/gpt'}}",
            ["2:31: providers.a.base_url: Azure takes these calls at https://us.openai.azure.com/openai/v1"],
        ),
        (
            "providers: {azure: {kind: azure_openai, base_url: 'https://us.openai.azure.com/openai/v1'}}",
            [],
        ),
        (
            "providers: {}",
            ["2:1: providers: every call is refused; leave `providers` out to reach openai, anthropic and gemini"],
        ),
        (
            "providers: {openai: {preset: openai, timeouts: {total_s: 30, connect_s: 30, idle_s: 31}}}",
            ["2:77: providers.openai.timeouts.idle_s: it has no effect: it is longer than `total_s`"],
        ),
        ("providers: {openai: {preset: openai, timeouts: {total_s: 30}}}", []),
        ("providers: {a: {kind: openai, base_url: 'https://gateway.test'}}", []),
        ("providers: {a: {kind: anthropic, base_url: 'https://api.anthropic.com/v1'}}", []),
        (
            "models: {fast: {targets: [{provider: openai, model: gpt-4.1}, {provider: openai, model: nobody-knows}], "
            "fallback: [openai/nobody-knows]}}",
            ["2:10: models.fast: no price for openai/nobody-knows: add one, or `free: true`, to pricing.yaml, "
             "unless the provider reports it"],
        ),
        (
            "models: {'nobody-*': {target: openai}, gpt-4.1: {target: openai}, nobody: {target: openai}}",
            ["2:67: models.nobody: no price for openai/nobody: add one, or `free: true`, to pricing.yaml, "
             "unless the provider reports it"],
        ),
        (
            "providers: {az: {preset: azure_openai, base_url: 'https://a.openai.azure.com/openai/v1'}}\n"
            "models: {ours: {target: az/ours}}",
            [],
        ),
        (
            "models: {gpt-4.1: {target: openai/gpt-4o, fallback: [openai/gpt-4.1, openai/gpt-4o, openai/gpt-4.1]}}",
            ["2:70: models.gpt-4.1.fallback.1: it has no effect: it is the target itself; for another attempt, "
             "set `retries`"],
        ),
        (
            "providers: {openai: {preset: openai}, openrouter: {preset: openrouter}}\n"
            "models: {nobody: {target: openrouter}}",
            [],
        ),
        (
            "models: {gpt-4.1: {targets: [{provider: openai}, {provider: openai, model: gpt-4o}], fallback: [openai]}}",
            [],
        ),
        (
            "models: {gpt-4.1: {target: openai, retries: {on: [connect]}}}",
            ["2:36: models.gpt-4.1.retries: `on` has no effect while `max` is 0"],
        ),
        (
            f"keys: [{{alias: web, hash: '{HASH}'}}]",
            ["2:1: keys: all providers take the caller's own key: who sends a proxy key alone is refused there"],
        ),
        (
            OURS.replace(", groq: {preset: groq}", "")
            + "models: {gpt-4.1: {target: ours}}\ndefault_provider: {openai: null}\n"
            + f"keys: [{{alias: web, hash: '{HASH}', allow: ['gpt-*', claude]}}]",
            ["5:124: keys.0.allow.1: it allows nothing: no model matches, and no default_provider is left"],
        ),
    ],
)  # fmt: skip
def test_slips_of_routing(tmp_path: Path, text: str, said: list[str]) -> None:
    assert advice(tmp_path, routing=text) == [f"routing.yaml:{line}" for line in said]


def test_slips_of_analytics(tmp_path: Path) -> None:
    text = "families: {product: false}\nevents: {ai: false}\nidentity: {mode: none, salt_env: SALT}\n"
    assert advice(tmp_path, analytics=text) == [
        "analytics.yaml:2:1: families: no event is made at all",
        "analytics.yaml:4:24: identity.salt_env: it has no effect while `mode` is not hash",
    ]


def test_content_for_spans_has_to_be_kept(tmp_path: Path) -> None:
    assert advice(tmp_path, analytics="otel: {traces: true, content: true}") == [
        "analytics.yaml:2:22: otel.content: nothing is kept that spans could tell; `capture` says of which calls it is"
    ]


def test_slips_of_outcomes(tmp_path: Path) -> None:
    assert advice(tmp_path, analytics="outcomes: {origins: ['https://a.example']}") == [
        "analytics.yaml:2:12: outcomes.origins: their pages need `feedback_token_hours` or a publishable key too"
    ]
    keys = f"{OURS}keys: [{{alias: web, hash: '{HASH}'}}]"
    published = [f"{{key: plp_0123456789ab_{alias}, alias: {alias}}}" for alias in ("web", "app")]
    outcomes = f"outcomes: {{publishable_keys: [{', '.join(published)}]}}"
    said = advice(tmp_path, routing=keys, analytics=outcomes)
    assert [line.partition("outcomes.")[2] for line in said if "outcomes" in line] == [
        "publishable_keys.1.alias: no key of routing.yaml has this alias"
    ]


def test_slips_of_prices(tmp_path: Path) -> None:
    text = (
        "models:\n  - {match: {provider: opnai, model: m}, free: true}\n"
        "  - {match: {provider: 'open*', model: m}, prices: [{from: 2999-01-01, usd_per_call: 1}]}\n"
    )
    assert advice(tmp_path, pricing=text) == [
        "pricing.yaml:3:6: models.0.match: no provider of routing.yaml and no vendor has this name; "
        "did you mean `openai`?",
        "pricing.yaml:4:53: models.1.prices.0.from: 2999-01-01 is more than a year ahead",
    ]


def test_slips_of_the_environment(tmp_path: Path) -> None:
    env = {
        "PROMPTLANE_WORKER": "4",
        "PROMPTLANE_X": "hidden",
        "PROMPTLANE_ADMIN_TOKEN": "admin",
        "PROMPTLANE_VIEWER_TOKEN": "0123456789abcdef",
        "POSTHOG_API_KEY": "12345",
        "OPENAI_UPSTREAM_URL": "http://127.0.0.1:9/v1/",
        "GEMINI_UPSTREAM_URL": "http://127.0.0.1:9",
    }
    text = "providers: {openai: {preset: openai}, gemini: {preset: gemini, base_url: 'https://gateway.test'}}"
    assert advice(tmp_path, env=env, routing=text) == [
        "environment: GEMINI_UPSTREAM_URL: it has no effect: no provider takes its address from the preset",
        "environment: POSTHOG_API_KEY: a project's key starts with phc_",
        "environment: PROMPTLANE_ADMIN_TOKEN: it can be guessed: take 16 signs or more, such as `openssl rand -hex 16`",
        "environment: PROMPTLANE_WORKER: no variable of this name is read; did you mean PROMPTLANE_WORKERS?",
        "environment: PROMPTLANE_X: no variable of this name is read",
    ]


VERSIONS = "versions: {pv_1: {model: gpt-4.1-mini, system: a}, pv_2: {model: my-model, system: 'Hi {{#if b}}{{a}}'}}"
PROMPTS = f"prompts: {{support: {{default: pv_1, variables: {{a: x, b: y}}, {VERSIONS}}}}}"


def test_prompts_that_are_not_locked_and_slips_in_them(tmp_path: Path) -> None:
    assert advice(tmp_path, prompts=PROMPTS) == [
        "prompts.yaml:2:1: prompts: nothing keeps versions as they are; run `promptlane prompts lock`, "
        "and commit prompts.lock",
        "prompts.yaml:2:54: prompts.support.variables.b: no version's text uses it",
        "prompts.yaml:2:119: prompts.support.versions.pv_2.model: routing.yaml names no such model, "
        "and no price is known for it; is it spelt so?",
        "prompts.yaml:2:136: prompts.support.versions.pv_2.system: this is text and no variable: {{#if b}}; "
        "a variable is {{name}}",
    ]


def test_a_version_that_is_not_among_the_locked_ones_is_told(tmp_path: Path) -> None:
    (tmp_path / "prompts.lock").write_text(f"support/pv_0 sha256:{'0' * 64}\n")
    said = advice(tmp_path, routing="models: {my-model: {target: openai}}", prompts=PROMPTS)
    assert [line.split(": ")[1:] for line in said if "lock" in line] == [
        ["prompts.support.versions.pv_1", "it is not in prompts.lock; run `promptlane prompts lock`"],
        ["prompts.support.versions.pv_2", "it is not in prompts.lock; run `promptlane prompts lock`"],
    ]


def test_a_version_s_model_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    routing = "default_provider: {openai: null, anthropic: null, gemini: null}\nmodels: {my-model: {target: openai}}"
    said = advice(tmp_path, routing=routing, prompts=PROMPTS)
    assert [line.split(": ")[1:] for line in said if "refused" in line] == [
        [
            "prompts.support.versions.pv_1.model",
            "calls for it are refused",
            "no model of routing.yaml matches, and there is no default_provider",
        ]
    ]
