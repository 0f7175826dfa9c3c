"""The project's own promises: the lock, the entrances, the image, the records of decisions and changes."""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
import venv
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TARGETS = (
    "help", "setup", "run", "test", "check", "fmt", "lint", "types", "imports",
    "bench", "bench-growth", "bench-memory", "bench-pages", "profile", "simulate", "soak", "prices", "vocabulary",
    "lock", "docs", "clean",
)  # fmt: skip


def pins(lock: str) -> dict[str, list[str]]:
    """Package name → the lines that follow its pin."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in (ROOT / "requirements" / lock).read_text().splitlines():
        if pinned := re.match(r"([a-z0-9-]+)==", line):
            lines = found.setdefault(pinned[1], [])
        elif line.strip().startswith("--hash="):
            lines.append(line)
    return found


def declared(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=! ;]", requirement)[0] for requirement in requirements}


@pytest.mark.parametrize("lock", ["run.txt", "dev.txt"])
def test_lock_pins_what_is_declared_with_hashes_and_no_host(lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = declared(project["dependencies"])
    if lock == "dev.txt":
        extras = project["optional-dependencies"]
        assert extras["dev"][0] == "promptlane[otel,prices]"
        wanted |= declared(extras["dev"][1:] + extras["otel"] + extras["prices"])
    found = pins(lock)
    assert wanted - found.keys() == set()
    assert [name for name, hashes in found.items() if not hashes] == []
    assert "://" not in (ROOT / "requirements" / lock).read_text()


def test_both_locks_agree() -> None:
    def versions(lock: str) -> set[str]:
        return set(re.findall(r"^[a-z0-9-]+==[^ ;]+", (ROOT / "requirements" / lock).read_text(), re.MULTILINE))

    assert versions("run.txt") - versions("dev.txt") == set()


def test_help_lists_every_target() -> None:
    listing = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"make (\S+)", listing) == list(TARGETS)


@pytest.mark.parametrize("script", [".ci/run", "tools/setup.sh", "tools/apt_install.sh"])
def test_scripts_parse_and_may_be_run(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", script], cwd=ROOT, check=True)


def test_decisions_are_numbered_listed_and_whole() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    pages = sorted(folder.glob("0*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        assert page.name in index
        parts = ["Status: ", "## Context", "## Decision", "## Alternatives", "## Consequences"]
        assert [part for part in parts if part not in text] == [], page.name


def test_changelog_names_the_version() -> None:
    from proxy import __version__

    text = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{__version__}]" in text or "## [Unreleased]" in text


class Dockerfile:
    """The few instructions that our Dockerfile uses, with continued lines joined."""

    def __init__(self, text: str) -> None:
        joined = re.sub(r"\\\n\s*", "", text)
        self.steps = [
            (line.split(" ", 1)[0], line.split(" ", 1)[1].strip())
            for line in joined.splitlines()
            if line and not line.startswith("#")
        ]

    def all(self, instruction: str) -> list[str]:
        return [argument for name, argument in self.steps if name == instruction]

    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for argument in self.all("ENV") for pair in shlex.split(argument))

    def command(self) -> list[str]:
        return [*json.loads(self.all("ENTRYPOINT")[0]), *json.loads(self.all("CMD")[0])]

    def healthcheck(self) -> list[str]:
        command: list[str] = json.loads(self.all("HEALTHCHECK")[0].split("CMD ", 1)[1])
        return command


@pytest.fixture(scope="module")
def dockerfile() -> Dockerfile:
    return Dockerfile((ROOT / "Dockerfile").read_text())


def test_image_runs_without_root_and_knows_its_health(dockerfile: Dockerfile) -> None:
    assert dockerfile.all("FROM") == ["python:3.11-slim"]
    assert dockerfile.all("USER") == ["promptlane"]
    names = [name for name, _ in dockerfile.steps]
    assert names.index("USER") > max(index for index, name in enumerate(names) if name in {"RUN", "COPY"})
    assert "/healthz" in dockerfile.healthcheck()[-1]


@pytest.fixture(scope="module")
def image(dockerfile: Dockerfile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `app` and `venv`, made by the Dockerfile's COPY and pip steps."""
    folder = tmp_path_factory.mktemp("image")
    allowed = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    venv.EnvBuilder(with_pip=True).create(folder / "venv")
    for name, argument in dockerfile.steps:
        if name == "COPY":
            source, target = argument.split()
            assert source in allowed, f"{source} is kept out by .dockerignore"
            copy(ROOT / source, folder / "app" / target)
        elif name == "RUN" and argument.startswith("pip "):
            install(argument, folder)
    return folder


def install(command: str, folder: Path) -> None:
    """Run a pip step in the folder's own environment; skips where the package index cannot be reached."""
    path = f"{folder / 'venv' / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        shlex.split(command), cwd=folder / "app", env={**os.environ, "PATH": path}, capture_output=True, check=False
    )
    if done.returncode and not is_index_reachable(folder):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr.decode()


def is_index_reachable(folder: Path) -> bool:
    command = [str(folder / "venv" / "bin" / "pip"), "download", "--no-deps", "--dest", str(folder / "probe"), "idna"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


async def test_image_starts_is_healthy_and_stops(dockerfile: Dockerfile, image: Path) -> None:
    """Its command runs with the packages of the lock alone, and its health check finds it."""
    python, *arguments = dockerfile.command()
    assert python == "python"
    environment = {**dockerfile.environment(), "PROMPTLANE_HOST": "127.0.0.1", "PROMPTLANE_PORT": "0"}
    environment["PROMPTLANE_DATA"] = str(image / "data")
    server = await asyncio.create_subprocess_exec(
        image / "venv" / "bin" / python, *arguments, cwd=image / "app", env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    try:
        async with asyncio.timeout(30):
            said = b""
            while not (listening := re.search(rb"listening on http://[0-9.]+:([0-9]+)", said)):
                said = await server.stdout.readline()
                assert said, "the server ended before it listened"
        environment["PROMPTLANE_PORT"] = listening[1].decode()
        check = await asyncio.create_subprocess_exec(
            image / "venv" / "bin" / python, *dockerfile.healthcheck()[1:], env=environment
        )
        assert await check.wait() == 0
    finally:
        with suppress(ProcessLookupError):
            server.terminate()
        await server.wait()
    assert server.returncode == 0


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)
