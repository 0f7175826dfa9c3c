import pytest

from proxy.config.analytics import AnalyticsFile, PosthogSection, compile_destination, compile_policy
from proxy.config.document import Document, parse_document
from proxy.config.schema import check_document
from proxy.domain.policy import AnalyticsPolicy, Destination, Families, OutboxBounds, OutcomePolicy, StoreBounds, Volume
from proxy.domain.prompt_versions import VersionPolicy


def compiled(text: str, **env: str) -> tuple[AnalyticsPolicy, list[str]]:
    document = parse_document("a", b"version: 1\n" + text.encode(), env)
    policy = compile_policy(document, check_document(document, AnalyticsFile) or AnalyticsFile(version=1), env)
    return policy, [str(problem) for problem in document.problems]


def test_without_a_word_the_defaults_hold() -> None:
    assert compiled("") == (AnalyticsPolicy(), [])


def test_every_value_arrives() -> None:
    policy, problems = compiled(
        "environment: staging\nenvironment_header: true\nfamilies: {product: false, ai: true}\n"
        "identity: {mode: hash, salt_env: SALT}\nproperties: {allow: [plan, feature.x]}\nprompt_hash: sha256\n"
        "require_prompt_version: warn\nfingerprint: {infer_version: false, ignore_numbers: true}\n"
        'trace_url: "${PUBLIC_URL:-http://127.0.0.1:4000}/ui/traces/{trace_id}"\n'
        "events: {started: false, attempt_failed: false, sample: 0.25}\n"
        "outbox: {max_bytes: 2MiB, max_age_days: 0.5, commit_ms: 20}\nstore: {max_bytes: 3MiB, max_age_days: 2}\n"
        'outcomes: {feedback_token_hours: 0.5, origins: ["https://app.example.com"]}\n',
        SALT="pepper",
    )
    assert problems == []
    assert policy == AnalyticsPolicy(
        environment="staging",
        environment_header=True,
        families=Families(product=False, ai=True),
        volume=Volume(started=False, attempt_failed=False, sample=0.25),
        identity_mode="hash",
        identity_salt=b"pepper",
        prompt_hash="sha256",
        prompt_hash_ignores_numbers=True,
        versions=VersionPolicy(demand="warn", infers=False),
        allowed_properties=frozenset({"plan", "feature.x"}),
        trace_url="http://127.0.0.1:4000/ui/traces/{trace_id}",
        outbox=OutboxBounds(max_bytes=2 * 2**20, max_age_s=43_200, commit_ms=20),
        store=StoreBounds(max_bytes=3 * 2**20, max_age_s=172_800),
        outcomes=OutcomePolicy(feedback_token_s=1_800, origins=frozenset({"https://app.example.com"})),
    )


def test_events_may_turn_off_the_ai_family_too() -> None:
    assert compiled("events: {ai: off, started: on}")[0].families == Families(product=True, ai=False)


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("identity: {mode: hash, salt_env: GONE}", "identity.salt_env", "GONE is not set"),
        ("identity: {mode: sometimes}", "identity.mode", "one of as_given, hash, none"),
        ("properties: {allow: [$set]}", "properties.allow.0", "use a letter"),
        ("properties: {allow: [plan, model]}", "properties.allow.1", "this name is taken"),
        ("trace_url: ftp://x/{trace_id}", "trace_url", "starts with http"),
        ("trace_url: https://x/", "trace_url", "has {trace_id} in it once"),
        ('trace_url: "https://x/{trace_id}/{user}"', "trace_url", "has {trace_id} in it once"),
        ('trace_url: "https://x/{trace_id!r}"', "trace_url", "has {trace_id} in it once"),
        ('trace_url: "https://x/{trace_id}/{"', "trace_url", "has {trace_id} in it once"),
        ("events: {sample: 1.5}", "events.sample", "at most 1"),
        ("outbox: {commit_ms: 0}", "outbox.commit_ms", "at least 1"),
        ("outbox: {max_bytes: much}", "outbox.max_bytes", "a size is"),
    ],
)
def test_what_this_version_cannot_do_or_take_is_refused(text: str, place: str, problem: str) -> None:
    (found,) = compiled(text)[1]
    assert found.startswith("a:2:")
    assert f" {place}: " in found
    assert problem in found


def test_a_salt_that_nobody_needs_may_be_unset() -> None:
    assert compiled("identity: {mode: as_given, salt_env: GONE}") == (AnalyticsPolicy(), [])


def destination(**env: str) -> tuple[Destination, list[str]]:
    document = Document(file="environment")
    return compile_destination(PosthogSection(), document, env), [str(problem) for problem in document.problems]


def test_the_project_comes_from_the_environment() -> None:
    assert destination() == (Destination(), [])
    assert destination(POSTHOG_API_KEY="", POSTHOG_HOST="") == (Destination(), [])
    found, problems = destination(POSTHOG_API_KEY="phc_x", POSTHOG_HOST="https://eu.posthog.com")
    assert (found.api_key, found.host, problems) == ("phc_x", "https://eu.i.posthog.com", [])


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        ({"POSTHOG_API_KEY": "phx_hidden"}, "API_KEY: this is a personal key; the project's key starts with phc_"),
        ({"POSTHOG_API_KEY": "phc_hid\nden"}, "API_KEY: it holds characters that no key has"),
        (
            {"POSTHOG_HOST": "us.posthog.com"},
            "HOST: an address starts with http:// or https:// and names a host, such as https://eu.i.posthog.com",
        ),
    ],
)
def test_a_wrong_environment_is_named_and_not_echoed(env: dict[str, str], problem: str) -> None:
    assert destination(**env)[1] == ["environment: POSTHOG_" + problem]
