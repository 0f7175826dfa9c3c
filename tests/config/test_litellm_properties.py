"""Laws of the translation, on configurations that nobody has written."""

from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.litellm import Translation, Verdict, listing, parse, translate
from proxy.config.litellm.hosts import HOSTS
from proxy.config.problems import Path
from tests.config.litellm_loading import problems_of

SECRET = "swordfish"
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
NAME = st.sampled_from(["a", "b", "gpt-4o", "gpt-*", "*", "openai/*", "claude", "x (1)", "yes", "é☃"]) | TEXT
SECRET_TEXT = TEXT.map(lambda text: f"{text}{SECRET}{text}")
NUMBER = st.one_of(st.integers(-1, 10**7), st.floats(0, 10, allow_nan=False), st.just("1e-6"), st.just("soon"))
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXT, SECRET_TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
MODEL = st.builds("{}/{}".format, st.sampled_from([*HOSTS, "bedrock", "cohere", "nobody"]), NAME) | NAME
KEY = st.sampled_from(["os.environ/A_KEY", "os.environ/B_KEY", "${C_KEY}", "os.environ/no name"]) | SECRET_TEXT
ADDRESS = st.sampled_from(
    [
        "http://127.0.0.1:8000/v1",
        "https://x.openai.azure.com/",
        "os.environ/A_BASE",
        f"https://u:{SECRET}@h.example.com",
    ]
)
PARAMS = st.fixed_dictionaries(
    {"model": MODEL},
    optional={
        "api_key": KEY, "api_base": ADDRESS, "api_version": TEXT, "weight": NUMBER, "rpm": NUMBER, "order": NUMBER,
        "timeout": NUMBER, "stream_timeout": NUMBER, "num_retries": NUMBER, "input_cost_per_token": NUMBER,
        "output_cost_per_token": NUMBER, "output_cost_per_token_flex": NUMBER, "input_cost_per_request": NUMBER,
        "input_cost_per_token_above_200k_tokens": NUMBER, "extra_headers": st.dictionaries(TEXT, SECRET_TEXT),
        "litellm_credential_name": st.sampled_from(["shared", "absent"]), "anything": ANYTHING,
    },
)  # fmt: skip
ENTRY = st.fixed_dictionaries(
    {"model_name": NAME, "litellm_params": PARAMS},
    optional={"model_info": st.dictionaries(st.sampled_from(["mode", "base_model", "id"]), TEXT), "more": ANYTHING},
)
FALLBACKS = st.lists(st.dictionaries(NAME, st.lists(NAME, max_size=3), max_size=2), max_size=3)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "fallbacks": FALLBACKS, "default_fallbacks": st.lists(NAME, max_size=2), "num_retries": NUMBER,
        "timeout": NUMBER, "model_group_alias": st.dictionaries(NAME, NAME, max_size=2), "cache": ANYTHING,
        "routing_strategy": st.sampled_from(["simple-shuffle", "least-busy"]), "callbacks": ANYTHING,
    },
)  # fmt: skip
CONFIGURATION = st.fixed_dictionaries(
    {"model_list": st.lists(ENTRY, max_size=5)},
    optional={
        "router_settings": SETTINGS, "litellm_settings": SETTINGS, "general_settings": ANYTHING,
        "environment_variables": st.dictionaries(TEXT, SECRET_TEXT, max_size=2), "guardrails": ANYTHING,
        "credential_list": st.just(
            [{"credential_name": "shared", "credential_values": {"api_key": SECRET, "api_base": "http://a.example.com"}}]
        ),
    },
)  # fmt: skip
TRANSLATED = {
    "model_name", "model", "api_key", "api_base", "weight", "order", "timeout", "stream_timeout", "num_retries",
    "fallbacks", "default_fallbacks", "model_group_alias", "routing_strategy", "base_model",
    "litellm_credential_name", "credential_name",
}  # fmt: skip
"""Keys that may end as a line of the output alone."""


def translated(configuration: Any) -> Translation:
    return translate(parse("c.yaml", yaml.safe_dump(configuration, sort_keys=False).encode()))


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all single values; an empty list or mapping is one too."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not inner:
        yield path
    for key, part in inner:
        yield from leaves(part, (*path, key))


@given(CONFIGURATION)
def test_what_is_written_loads(configuration: Any) -> None:
    translation = translated(configuration)
    assert problems_of(translation) == []
    if translation.routing is None:
        assert configuration["model_list"] == [] or any(
            remark.verdict is Verdict.LOST for remark in translation.remarks
        )


@given(CONFIGURATION)
def test_no_secret_comes_out(configuration: Any) -> None:
    translation = translated(configuration)
    said = [line for verdict in Verdict for line in listing(translation.remarks, verdict)]
    assert SECRET not in "\n".join([translation.routing or "", translation.pricing or "", *said])


@given(CONFIGURATION)
def test_no_key_is_passed_over(configuration: Any) -> None:
    remarks = translated(configuration).remarks
    left_out = {remark.path[:2] for remark in remarks if remark.message.endswith("the entry is left out")}
    said = {remark.path for remark in remarks}
    silent = [
        path
        for path in leaves(configuration)
        if not any(path[:end] in said for end in range(1, len(path) + 1))
        and path[:2] not in left_out
        and not any("cost" in str(part) or part in TRANSLATED for part in path)
    ]
    assert silent == []
