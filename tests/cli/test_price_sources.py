"""Which collections of prices are opened, and what is said of one that cannot be."""

import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.cli import price_sources
from proxy.cli.price_sources import INSTALLED, open_sources
from proxy.config.litellm_map import MEMBER

TODAY = date(2026, 11, 23)
MAP = b'{"gpt-x": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 4e-07}}'


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_sources, "find_spec", lambda name: None)
    monkeypatch.setattr(price_sources, "installed_map", lambda: None)


@pytest.mark.parametrize("name", ["prices.json", "litellm-1.0-py3-none-any.whl"])
def test_litellms_map_is_read_from_its_file_or_a_wheel(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".whl":
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(MEMBER, MAP)
    else:
        path.write_bytes(MAP)
    (source,), problems = open_sources(str(path), genai=False, on=TODAY)
    assert (source.name, problems, list(source.names("openai"))) == (name, [], ["gpt-x"])
    price = source.find("openai", "gpt-x")
    assert price is not None
    assert price.card.standard.input_usd_per_mtok == Decimal("0.4")
    assert source.find("groq", "gpt-x") is None


def test_the_map_of_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "map.json").write_bytes(MAP)
    monkeypatch.setattr(price_sources, "installed_map", lambda: tmp_path / "map.json")
    (source,), _ = open_sources(INSTALLED, genai=False, on=TODAY)
    assert source.name == "litellm of no version"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.json", None, "this cannot be read"),
        ("prices.json", b'{"a": 1}', "neither litellm's price map nor a wheel with it"),
        ("prices.yaml", b"models: []", "neither litellm's price map nor a wheel with it"),
        ("other.whl", b"", "neither litellm's price map nor a wheel with it"),
    ],
)
def test_a_file_that_is_no_map_is_named(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    path = tmp_path / name
    if name == "other.whl":
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr("other/data.json", "{}")
    elif content is not None:
        path.write_bytes(content)
    sources, (problem,) = open_sources(str(path), genai=False, on=TODAY)
    assert sources == []
    assert problem.startswith(str(path))
    assert words in problem


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(
    ("litellm", "genai", "words"),
    [
        (None, True, ["pip install genai-prices"]),
        (INSTALLED, False, ["pip download --no-deps litellm"]),
        (None, False, ["pip download --no-deps litellm", "pip install genai-prices"]),
    ],
)
def test_what_is_not_installed_is_said_with_the_way_to_it(litellm: str | None, genai: bool, words: list[str]) -> None:
    sources, problems = open_sources(litellm, genai=genai, on=TODAY)
    assert sources == []
    assert len(problems) == len(words)
    assert all(word in problem for word, problem in zip(words, problems, strict=True))


def test_without_a_wish_all_that_is_installed_is_opened_and_the_rest_is_no_problem() -> None:
    sources, problems = open_sources(None, genai=False, on=TODAY)
    assert [source.name.split()[0] for source in sources] == ["genai-prices"]
    assert problems == []
