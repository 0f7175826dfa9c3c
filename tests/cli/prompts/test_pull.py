import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from proxy.cli import main

PROMPTS = """\
version: 1
prompts:
  support:
    default: pv_1
    versions:
      pv_1: {system: {posthog: support-prompt, version: 1}}
      pv_2: {system: {posthog: support-prompt, version: 2}}
      pv_3: {system: {file: own.md}}
"""


class PostHogPrompts:
    """Keeps versions of one prompt, and what it was asked."""

    def __init__(self, texts: dict[str, Any]) -> None:
        self.texts = texts
        self.asked: list[tuple[str, str, str]] = []

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_get("/api/environments/@current/llm_prompts/name/{name}/", self._one)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _one(self, request: web.Request) -> web.StreamResponse:
        name, version = request.match_info["name"], request.query["version"]
        self.asked.append((name, version, request.query["token"]))
        if request.headers["Authorization"] != "Bearer phx_test":
            return web.json_response({"detail": "no"}, status=401)
        if version not in self.texts:
            return web.json_response({"detail": "Not found."}, status=404)
        told = {"name": name, "version": int(version), "prompt": self.texts[version], "config": {"temperature": 1}}
        return web.json_response(self.texts[version] if isinstance(self.texts[version], dict) else told)


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", "phx_test")
    monkeypatch.setenv("POSTHOG_API_KEY", "phc_test")
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "prompts.yaml").write_text(PROMPTS)
    (folder / "own.md").write_text("Own.")
    return folder


async def pull(*words: str) -> int:
    return await asyncio.to_thread(main, ["prompts", "pull", *words])


async def test_each_version_is_fetched_once_and_stays(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["check"]) == 2
    assert "is not there yet; run `promptlane prompts pull`" in capsys.readouterr().err
    posthog = PostHogPrompts({"1": "Hi {{a}}\n", "2": "Grüße"})
    async with posthog as host:
        monkeypatch.setenv("POSTHOG_HOST", host)
        assert await pull() == 0
        told = capsys.readouterr().out.splitlines()
        assert told == [f"wrote prompts/posthog/support-prompt.v{version}.md" for version in (1, 2)]
        assert await pull() == 0
        assert capsys.readouterr().out.startswith("nothing to pull")
    assert posthog.asked == [("support-prompt", "1", "phc_test"), ("support-prompt", "2", "phc_test")]
    (config / "prompts.yaml").write_text(PROMPTS.replace("default: pv_1", "default: pv_1\n    variables: {a: x}"))
    assert main(["prompts", "show", "support", "pv_1"]) == 0
    assert capsys.readouterr().out.endswith("\nHi {{a}}\n")


@pytest.mark.parametrize(
    ("texts", "key", "says"),
    [
        ({"1": "a"}, "phx_test", "support-prompt, version 2: refused (404): there is no such prompt or version"),
        ({}, "phx_other", "support-prompt, version 1: refused (401): http://127.0.0.1"),
        ({"1": {"version": 7, "prompt": "latest"}}, "phx_test", "something else than version 1 of support-prompt"),
        ({"1": {"version": 1, "prompt": {"messages": []}}}, "phx_test", "something else than version 1"),
    ],
)
async def test_what_cannot_be_had_is_told(
    config: Path, texts: dict[str, Any], key: str, says: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", key)
    async with PostHogPrompts(texts) as host:
        monkeypatch.setenv("POSTHOG_HOST", host)
        assert await pull() == 1
    err = capsys.readouterr().err
    assert says in err
    assert "phx_" not in err.replace("(phx_…)", "")
    assert not (config / "prompts" / "posthog" / "support-prompt.v2.md").exists()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("POSTHOG_PERSONAL_API_KEY", "", "POSTHOG_PERSONAL_API_KEY is not set"),
        ("POSTHOG_API_KEY", "", "POSTHOG_API_KEY is not set"),
        ("POSTHOG_HOST", "eu.posthog", "POSTHOG_HOST: "),
    ],
)
def test_what_is_missing_is_misuse(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert main(["prompts", "pull"]) == 2
    assert capsys.readouterr().err.startswith(says)


def test_prompts_that_cannot_be_read_are_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config / "prompts.yaml").write_text("prompts: {")
    assert main(["prompts", "pull"]) == 2
    assert "config/prompts.yaml:1:11" in capsys.readouterr().err


async def test_a_folder_that_cannot_be_written_is_a_failure(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (config / "prompts").write_text("")
    async with PostHogPrompts({"1": "a"}) as host:
        monkeypatch.setenv("POSTHOG_HOST", host)
        assert await pull() == 1
    assert "cannot write config/prompts/posthog/support-prompt.v1.md: " in capsys.readouterr().err
