"""What the pages say is what the code does: links, names, examples."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from proxy.app.settings import snapshot_of
from proxy.cli import VERBS
from proxy.cli.call_rows import HEADING
from proxy.config.json_schema import FILES
from proxy.config.load import load
from proxy.config.variables import VARIABLES
from proxy.domain import analytics_headers
from proxy.domain.event_properties import ALLOWED
from proxy.domain.events import closing, opening
from proxy.web.edge import OPERATIONS
from tests.config.broken import read_cases
from tests.harness.certs import Authority
from tests.harness.exchanges import caller, finished
from tests.harness.pages import PAGES, ROOT, blocks, dead_links, named
from tests.harness.walk import free_port
from tests.test_project import TARGETS

ENVIRONMENT = {
    "OPENAI_API_KEY": "sk-ours",
    "LOCAL_KEY": "local",
    "PROMPTLANE_ALERT_WEBHOOK": "https://hooks.example.com/hidden",
}
each_page = pytest.mark.parametrize("page", PAGES, ids=named)


def texts(page: Path, language: str) -> list[str]:
    """What stands in the page's blocks of this language."""
    return [block.text for block in blocks(page) if block.language == language]


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    assert dead_links(page) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b.yaml`, and [c](x)\n## Twice\n## Twice\n[1](#a-byaml-and-c) [2](page.md#twice-1) [3](#d) [4](e.md)\n"
    )
    assert dead_links(page) == ["x", "#d", "e.md"]


@each_page
def test_modules_that_are_named_exist(page: Path) -> None:
    """A page that names `domain/x.py` or `adapters/x/` is wrong once it is renamed."""
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", page.read_text()))
    made_at_run_time = {"config/", "data/"}
    missing = {
        name for name in named - made_at_run_time if not any((at / name).exists() for at in (ROOT, ROOT / "proxy"))
    }
    assert missing == set()


@each_page
def test_targets_that_are_named_exist(page: Path) -> None:
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", page.read_text(), re.MULTILINE))
    assert named - set(TARGETS) == set()


def test_verbs_that_are_named_exist_and_every_verb_is_named() -> None:
    named = {verb for page in PAGES for verb in re.findall(r"promptlane ([a-z]+)\b", "\n".join(code(page)))}
    assert named == set(VERBS)


def code(page: Path) -> list[str]:
    """What stands in code, in a line or in a block."""
    text = page.read_text()
    return re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL) + re.findall(r"`[^`\n]+`", text)


def test_the_example_event_is_one_that_could_be_sent() -> None:
    """Every property of the README's event stands in the table, with a value that would pass."""
    event = json.loads(texts(ROOT / "README.md", "json")[0])
    assert ALLOWED[event["event"]].kept(event["properties"]) == event["properties"]


def test_the_readme_shows_calls_as_the_demo_does() -> None:
    assert f"```\n{HEADING}\n" in (ROOT / "README.md").read_text()


def test_every_header_that_is_ours_is_documented() -> None:
    page = (ROOT / "docs" / "headers.md").read_text().lower()
    names = analytics_headers._ANALYTICS_NAMES | set(analytics_headers._ANALYTICS_PREFIXES)
    assert [name for name in sorted(names) if name not in page] == []


def test_the_example_configuration_loads(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "support_v1.md").write_text("Help {{customer}}.")
    for name, text in zip(FILES, texts(ROOT / "docs" / "configuration.md", "yaml"), strict=True):
        (tmp_path / f"{name}.yaml").write_text(text)
    configuration = load(tmp_path, tmp_path / "pricing.yaml", ENVIRONMENT)
    assert {route.pattern for route in configuration.routing.routes} == {"gpt-4.1-mini", "fast", "claude-*"}
    assert configuration.analytics.allowed_properties == {"plan", "feature"}
    assert set(configuration.prompts.prompts) == {"support_answer"}
    assert [rule.name for rule in configuration.alerts.rules] == ["errors", "slow", "spend", "drift", "lost"]


def test_the_problems_that_the_guide_shows_are_told_so() -> None:
    shown, *_ = texts(ROOT / "docs" / "configuration.md", "text")
    told = {line.split(": ", 2)[2] for case in read_cases() for line in case.says if line.count(": ") > 1}
    assert [line for line in shown.splitlines() if line.split(": ", 2)[2] not in told] == []


def test_written_defaults_are_the_defaults(tmp_path: Path) -> None:
    """The analytics example shows defaults, but for the own properties."""
    analytics = texts(ROOT / "docs" / "configuration.md", "yaml")[1].replace("allow: [plan, feature]", "allow: []")
    (tmp_path / "analytics.yaml").write_text(analytics)
    written = load(tmp_path, tmp_path / "absent", {}).analytics
    assert written == load(tmp_path / "absent", tmp_path / "absent", {}).analytics


def test_the_kubernetes_example_fits_the_image_and_the_proxy() -> None:
    (example,) = texts(ROOT / "docs" / "deploy.md", "yaml")
    pod = yaml.safe_load(example)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    probes = {container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")}
    assert probes == {"/healthz", "/readyz"} <= OPERATIONS.keys()
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"--uid {pod['securityContext']['runAsUser']} " in dockerfile
    assert f"PROMPTLANE_DATA={container['volumeMounts'][0]['mountPath']} " in dockerfile
    assert pod["terminationGracePeriodSeconds"] >= 5 + load(ROOT / "absent", ROOT / "absent", {}).drain_s + 25


def test_the_unit_names_variables_and_verbs_that_exist() -> None:
    (unit,) = texts(ROOT / "docs" / "deploy.md", "ini")
    assert set(re.findall(r"bin/promptlane ([a-z]+)", unit)) <= set(VERBS)
    assert set(re.findall(r"(PROMPTLANE_[A-Z]+)=", unit)) <= {variable.name for variable in VARIABLES}


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_takes_the_example(tmp_path: Path) -> None:
    (example,) = texts(ROOT / "docs" / "deploy.md", "nginx")
    Authority(tmp_path).server_context()
    (pair,) = tmp_path.glob("127.0.0.1*.pem")
    server = re.sub(r"/etc/ssl/\S+(?=;)", str(pair), example).replace("listen 443", f"listen 127.0.0.1:{free_port()}")
    places = " ".join(f"{kind}_temp_path {tmp_path};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    file = tmp_path / "nginx.conf"
    file.write_text(f"pid {tmp_path}/pid; events {{}} http {{ access_log off; {places} {server} }}")
    command = ["nginx", "-t", "-q", "-e", str(tmp_path / "errors"), "-c", str(file)]
    tested = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr


def volumes() -> list[list[str]]:
    """Rows of the table that says how many events a call makes: settings, product, AI, a million calls."""
    table = (ROOT / "docs" / "operations.md").read_text().split("| a million calls |\n|---|---|---|---|\n")[1]
    return [line.strip("| ").split(" | ") for line in table.partition("\n\n")[0].splitlines()]


@pytest.mark.parametrize("row", volumes(), ids=lambda row: row[0])
def test_a_call_makes_as_many_events_as_the_table_says(row: list[str], tmp_path: Path) -> None:
    settings = ["version: 1", *re.findall(r"`([^`]+)`", row[0])]
    (tmp_path / "analytics.yaml").write_text("\n".join(settings))
    policy = snapshot_of(load(tmp_path, tmp_path / "absent", {}), b"", "").events
    traces, product, ai = 1_000, 0, 0
    for trace in range(traces):
        call = finished(caller=caller(trace_id=str(trace)))
        made = [event.name for event in (*opening(call, policy).events, *closing(call, policy).events)]
        ai += sum(name.startswith("$ai_") for name in made)
        product += sum(name.startswith("llm_") for name in made)
    told = [float(re.match(r"[0-9.]+", cell)[0]) for cell in row[1:3]]  # type: ignore[index]
    assert [product / traces, ai / traces] == pytest.approx(told, abs=0.05)
    assert (product + ai) / traces == pytest.approx(millions(row[3]), abs=0.05)


def millions(text: str) -> float:
    return float(text.replace(",", "")) / 1e6 if "million" not in text else float(text.split()[0])
