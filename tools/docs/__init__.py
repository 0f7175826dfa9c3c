"""The pages and files that are made from code: `make docs`. A test holds them to it."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from proxy.config.json_schema import FILES, file_name, schema_text
from tools.docs.cli import cli_page
from tools.docs.configuration import reference_page
from tools.docs.events import events_page
from tools.grafana.dashboard import dashboard

ROOT = Path(__file__).parents[2]

MADE: Mapping[Path, Callable[[], str]] = {
    ROOT / "docs" / "cli.md": cli_page,
    ROOT / "docs" / "events.md": events_page,
    ROOT / "docs" / "configuration-reference.md": reference_page,
    ROOT / "docs" / "grafana" / "promptlane.json": dashboard,
    **{ROOT / "proxy" / "config" / "schemas" / file_name(name): partial(schema_text, name) for name in FILES},
}
"""Each file, and what makes its text."""
