import pytest

from proxy.config.problems import ConfigError, Problem, dotted, is_secret, shown, shown_variable


def test_a_problem_reads_as_an_editor_expects() -> None:
    problem = Problem(file="routing.yaml", line=3, column=5, path="providers.x", message="wrong")
    assert str(problem) == "routing.yaml:3:5: providers.x: wrong"
    assert str(Problem(file="environment", path="POSTHOG_HOST", message="wrong")) == "environment: POSTHOG_HOST: wrong"
    assert str(Problem(file="a.yaml", message="wrong")) == "a.yaml: wrong"


def test_the_error_shows_each_problem_once_in_the_order_of_the_files() -> None:
    late, early = (Problem(file="a.yaml", line=line, message="wrong") for line in (10, 9))
    assert str(ConfigError([late, early, late])) == "a.yaml:9:0: wrong\na.yaml:10:0: wrong"


@pytest.mark.parametrize(
    "secret",
    ["sk-abc", "phc_abc", "plk_abc", "sk-proj-0123456789abcdefghij", "0123456789abcdef0123456789abcdef",
     "aZ09" * 10 + "=="],
)  # fmt: skip
def test_what_looks_like_a_secret_is_never_shown(secret: str) -> None:
    assert is_secret(secret)
    assert secret not in shown(secret) + dotted(("providers", secret, 0))


def test_plain_values_are_shown() -> None:
    assert shown("groq") == "`groq`"
    assert dotted(("models", "gpt-4*", "targets", 0)) == "models.gpt-4*.targets.0"
    assert dotted(("", "a\n\x1bb")) == '"".a b'


@pytest.mark.parametrize("name", ["claude-3-5-sonnet-20241022", "accounts/fireworks/models/llama-v3p1", "a" * 30])
def test_names_of_models_are_no_secrets(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("name", "words"), [("OUR_KEY", "OUR_KEY"), ("hunter2", "that is named here"), ("PLK_A" * 9, "PLK_A" * 9)]
)
def test_a_variable_is_named_unless_the_name_may_be_the_secret(name: str, words: str) -> None:
    assert shown_variable(name) == words
