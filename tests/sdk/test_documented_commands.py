"""The pages' own commands, run as they stand, page by page: see `tests/harness/walk.py` for how."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy.domain.dashboards import DASHBOARDS
from tests.harness.oracle import COMPLETED
from tests.harness.pages import PAGES, ROOT, Block, blocks, named
from tests.harness.posthog import ScriptedPostHog
from tests.harness.posthog_api import PostHogProject
from tests.harness.provider import ScriptedProvider
from tests.harness.serve import Served
from tests.harness.walk import Walk
from tests.harness.webhook import ScriptedWebhook

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]
RECORDED_REPLY = ROOT / "tests" / "golden" / "wire" / "chat-stream-asked.sse"
WORDS = "word0 word1 word2 word3 word4 word5 word6 word7"
"""What the scripted provider answers."""
RUNNABLE = {"sh", "python", "js", "diff"}
BESIDE_A_PROXY = (
    "docs/deploy.md",
    "docs/migrating-from-posthog-wrappers.md",
    "docs/operations.md",
    "docs/outcomes.md",
    "docs/prompt-versions.md",
    "docs/troubleshooting.md",
)
"""Pages for whoever has a proxy that runs and has had calls."""
WALKED = {
    "README.md",
    "docs/quickstart.md",
    "docs/alerts.md",
    "docs/configuration.md",
    "docs/dashboards.md",
    "docs/questions.md",
    "docs/experiments.md",
    "docs/migrating-from-helicone.md",
    "docs/migrating-from-litellm.md",
    *BESIDE_A_PROXY,
}
SHOWN_FILES = (
    "config/routing.yaml",
    "config/analytics.yaml",
    "config/prompts.yaml",
    "config/alerts.yaml",
    "pricing.yaml",
)
"""Those of docs/configuration.md, in its order."""
NOT_WALKED = {
    "CONTRIBUTING.md": "targets of make, each tested elsewhere",
    "docs/rollouts.md": "lines out of an app, and files; tests/e2e runs what they say",
}


async def test_every_page_with_commands_is_walked() -> None:
    pages = {named(page) for page in PAGES if any(block.language in RUNNABLE for block in blocks(page))}
    assert pages == WALKED | NOT_WALKED.keys()


async def test_readme(provider: ScriptedProvider, tmp_path: Path) -> None:
    """The demo answers its examples under any key and shows the calls; then real traffic, and what looks at it."""
    app = next(block for block in blocks(ROOT / "README.md") if block.text.startswith("curl"))
    async with ScriptedPostHog() as posthog, Walk(tmp_path, provider.url, posthog.url) as walk:
        shutil.copy(RECORDED_REPLY, walk.folder / "reply.sse")
        for block in blocks(ROOT / "README.md"):
            shown = walk.shown
            await walk.follow(block)
            if "promptlane serve" in block.text:
                assert "support_v3" in shown
                await walk.follow(app)
                await posthog.wait_for(lambda it: bool(completed(it)))


@pytest.mark.parametrize("page", BESIDE_A_PROXY)
async def test_beside_a_running_proxy(page: str, provider: ScriptedProvider, tmp_path: Path) -> None:
    async with ScriptedPostHog() as posthog, Walk(tmp_path, provider.url, posthog.url) as walk:
        await begin(walk)
        for block in blocks(ROOT / page):
            await walk.follow(block)


async def test_headers_of_helicone_mean_what_the_page_says(provider: ScriptedProvider, tmp_path: Path) -> None:
    async with ScriptedPostHog() as posthog, Walk(tmp_path, provider.url, posthog.url) as walk:
        await begin(walk)
        for block in blocks(ROOT / "docs" / "migrating-from-helicone.md"):
            await walk.follow(block)
        await walk.follow(Block("sh", "promptlane calls ls --json --prompt greeting\n"))
    told = json.loads(walk.said)
    assert told["distinct_id"] == "user_1"
    assert told["properties"]["$session_id"] == "session_1"
    assert told["properties"]["prompt_version_id"] == "greeting_v1"
    assert "helicone" not in repr(provider.ledger[-1].head.headers).lower()


async def begin(walk: Walk) -> None:
    """A proxy without a project to send to, so that there are events to look at, and a call."""
    app = next(block for block in blocks(ROOT / "README.md") if block.text.startswith("curl"))
    for block in (Block("sh", "promptlane serve\n"), app, Block("sh", "export POSTHOG_API_KEY=phc_…\n")):
        await walk.follow(block)
    await walk.follow(Block("sh", "promptlane outbox ls --json\n"))
    event = json.loads(walk.said)[0]
    walk.values.update(UUID=event["uuid"], ID=event["exchange_id"])


async def test_configuration(provider: ScriptedProvider, tmp_path: Path) -> None:
    """With the files that the page shows."""
    page = ROOT / "docs" / "configuration.md"
    files = [block.text for block in blocks(page) if block.language == "yaml"]
    async with ScriptedPostHog() as posthog, Walk(tmp_path, provider.url, posthog.url) as walk:
        (walk.folder / "config" / "prompts").mkdir()
        (walk.folder / "config" / "prompts" / "support_v1.md").write_text("Help {{customer}}.")
        for name, text in zip(SHOWN_FILES, files, strict=True):
            (walk.folder / name).write_text(text)
        await walk.follow(Block("sh", "export LOCAL_KEY=sk-… PROMPTLANE_ALERT_WEBHOOK=https://hooks.example.com/x\n"))
        for block in blocks(page):
            await walk.follow(block)


async def test_questions(provider: ScriptedProvider, tmp_path: Path) -> None:
    """The loop from a question to the shipped fix; its tiles are named as the dashboards name them."""
    page = ROOT / "docs" / "questions.md"
    named = set(re.findall(r"(?<!\*)\*([^*|]+)\*(?!\*)", page.read_text().split("![")[0]))
    assert len(named) > 25
    assert named - {tile.name for dashboard in DASHBOARDS for tile in dashboard.tiles} == set()
    async with ScriptedPostHog() as posthog, Walk(tmp_path, provider.url, posthog.url) as walk:
        for block in blocks(page):
            await walk.follow(block)
    assert "support_answer" in walk.said


async def test_dashboards(provider: ScriptedProvider, tmp_path: Path) -> None:
    async with PostHogProject() as project, Walk(tmp_path, provider.url, project.host) as walk:
        await begin(walk)
        for block in blocks(ROOT / "docs" / "dashboards.md"):
            await walk.follow(block)
    assert "pictures/traffic.png" in walk.said
    assert "LLM traffic and reliability" in project.living


async def test_experiments(provider: ScriptedProvider, tmp_path: Path) -> None:
    """With the experiment that the page shows."""
    page = blocks(ROOT / "docs" / "experiments.md")
    async with PostHogProject() as project, Walk(tmp_path, provider.url, project.host) as walk:
        (walk.folder / "config" / "prompts.yaml").write_text(next(it.text for it in page if it.language == "yaml"))
        await begin(walk)
        for block in page:
            await walk.follow(block)
        assert project.queries
    assert "Nobody has been given a variant yet." in walk.said


async def test_alerts(provider: ScriptedProvider, tmp_path: Path) -> None:
    """With the rules that the page shows, and a webhook in place of Slack's."""
    page = list(blocks(ROOT / "docs" / "alerts.md"))
    posthog, webhook = ScriptedPostHog(), ScriptedWebhook()
    async with posthog, webhook, Walk(tmp_path, provider.url, posthog.url) as walk:
        walk.values["https://hooks.slack.com/services/YOURS"] = webhook.url
        (walk.folder / "config" / "alerts.yaml").write_text(next(it.text for it in page if it.language == "yaml"))
        await walk.follow(next(it for it in page if it.language == "sh"))
        await begin(walk)
        for block in page:
            await walk.follow(block)
    assert [message["state"] for message in webhook.messages] == ["test", "test"]


@pytest.mark.parametrize("page", [page for page in PAGES if any(block.language == "js" for block in blocks(page))])
async def test_node_examples(page: Path, proxy: Served, node_folder: Path) -> None:
    for block in blocks(page):
        if block.language == "js":
            program = node_folder / "example.mjs"
            program.write_text(block.text.replace("127.0.0.1:4000", f"127.0.0.1:{proxy.port}"))
            assert WORDS in await run("node", program.name, folder=node_folder)


async def run(*command: str, folder: Path) -> str:
    environment = {**os.environ, "OPENAI_API_KEY": "sk-any", "NO_PROXY": "127.0.0.1"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    return stdout.decode()


@pytest.mark.parametrize("language", ["python", "js"])
async def test_an_example_of_the_readme_has_three_lines(language: str) -> None:
    block = next(block for block in blocks(ROOT / "README.md") if block.language == language)
    assert len([line for line in block.text.splitlines() if line]) == 3


async def test_quickstart_ends_with_priced_and_labelled_calls(provider: ScriptedProvider, tmp_path: Path) -> None:
    """From an empty folder, with nothing but the page: one call with the app's own key, one with the operator's."""
    async with ScriptedPostHog() as posthog, Walk(tmp_path, provider.url, posthog.url) as walk:
        for block in blocks(ROOT / "docs" / "quickstart.md"):
            await walk.follow(block)
        await posthog.wait_for(lambda it: len(completed(it)) == 2)
        ends = {event["properties"]["prompt_version_id"]: event for event in completed(posthog)}
    assert set(ends) == {"greeting_v1", "greeting_v2"}
    for end in ends.values():
        told = end["properties"]
        assert end["distinct_id"] == "user_1"
        assert (told["prompt_name"], told["status"], told["cost_status"]) == ("greeting", "success", "priced")
        assert told["estimated_cost_usd"] > 0
        assert told["usage_source"] == "provider"
    assert ends["greeting_v2"]["properties"]["key_alias"] == "app"
    assert {record.head.get("authorization") for record in provider.ledger[-2:]} == {"Bearer sk-test"}


def completed(posthog: ScriptedPostHog) -> list[Mapping[str, Any]]:
    """The good ends, by uuid once."""
    return [event for event in posthog.events.values() if event["event"] == COMPLETED]


async def test_a_litellm_configuration_serves_the_same_apps(provider: ScriptedProvider, tmp_path: Path) -> None:
    async with ScriptedPostHog() as posthog, Walk(tmp_path, provider.url, posthog.url) as walk:
        for block in blocks(ROOT / "docs" / "migrating-from-litellm.md"):
            await walk.follow(block)
        await posthog.wait_for(lambda it: len(completed(it)) == 1)
        told = completed(posthog)[0]["properties"]
    assert (told["key_alias"], told["cost_status"], told["prompt_name"]) == ("all-apps", "priced", "greeting")
    assert provider.ledger[-1].head.get("authorization") == "Bearer sk-test"
