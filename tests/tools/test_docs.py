"""The pages and files that are made from code."""

import re
from pathlib import Path

import pytest

from proxy.cli import VERBS, main
from proxy.config.json_schema import FILES, json_schema
from proxy.config.presets import PRESETS
from proxy.config.variables import VARIABLES
from proxy.domain import event_properties, outcome_properties
from tools.docs import MADE, ROOT
from tools.docs.cli import cli_page
from tools.docs.configuration import reference_page
from tools.docs.events import events_page


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_file_is_as_the_code_makes_it(path: Path) -> None:
    """Run `make docs` where this fails."""
    assert path.read_text() == MADE[path]()


def test_every_event_property_and_listed_value_is_on_its_page() -> None:
    page = events_page()
    rows = (*event_properties.TABLE, *outcome_properties.TABLE)
    names = {row.name for row in rows} | {value for row in rows for value in row.values or ()}
    names |= {*event_properties.EVENTS, *outcome_properties.EVENTS}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


def test_every_variable_preset_and_key_is_on_the_reference() -> None:
    page = reference_page()
    names = {each.name for each in VARIABLES} | set(PRESETS)
    for schema in map(json_schema, FILES):
        for section in (schema, *schema["$defs"].values()):
            names |= set(section["properties"])
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    "row",
    [
        "| `PROMPTLANE_PORT` | `4000` | Port to listen on, 0 for a free one; so does `--port`. |",
        "| `weight` | whole number | `1` | 0 to 1,000,000 | The share of calls that go here,",
        "| `alias` | name | required |  | What events call",
        "| `body_bytes` | size | `64MiB` |  | The longest body",
        "| `include_usage` | one of |  | `auto`, `inject`, `never` | Whether",
        "| `connect_s` | seconds | `5` | above 0, at most 86,400 | Until",
        "| `targets` | list of [`models.NAME.targets[]`](#modelsnametargets) |  | 1 to 100 entries | Several",
        "| `providers` | mapping of name to [`providers.NAME`](#providersname) |  |  | The hosts",
        "| `groq` | `openai` | `https://api.groq.com/openai/v1` | `never` |",
        "- *size*: a size is a whole number",
    ],
)
def test_the_reference_speaks_an_operators_words(row: str) -> None:
    assert any(line.startswith(row) for line in reference_page().splitlines())


def test_what_a_section_shares_with_another_is_told_once() -> None:
    lines = [line for line in reference_page().splitlines() if line.startswith("| `input_usd_per_mtok`")]
    assert len(lines) == 1


def test_links_within_the_reference_lead_to_a_heading() -> None:
    page = reference_page()
    headings = [line.lstrip("# ").strip("`") for line in page.splitlines() if line.startswith("### ")]
    anchors = {"".join(char for char in heading.lower() if char.isalnum() or char in "_-") for heading in headings}
    linked = {part.partition(")")[0] for part in page.split("](#")[1:]}
    assert linked
    assert linked - anchors == set()


def test_every_verb_and_option_is_on_the_page_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """As `--help` tells them, verb by verb."""
    page = cli_page()
    commands = [heading.split() for heading in re.findall(r"^#+ promptlane (.+)$", page, re.MULTILINE)]
    assert {command[0] for command in commands} == set(VERBS)
    for command in commands:
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        told = capsys.readouterr().out
        section = re.split(
            r"^#+ promptlane ", page.split(f"# promptlane {' '.join(command)}\n")[1], flags=re.MULTILINE
        )[0]
        options = set(re.findall(r"^ +(--[a-z0-9-]+)", told, re.MULTILINE))
        assert {option for option in options if f"`{option}" not in section} == set(), command
        for verb in re.findall(r"^    ([a-z]+) ", told, re.MULTILINE):
            assert [*command, verb] in commands
