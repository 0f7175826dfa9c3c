"""The pages and files that are made from code: `make docs`. A test holds them to it."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from proxy.config.json_schema import FILES, file_name, schema_text
from proxy.config.starter import starter_files
from tools.docs.cli import cli_page
from tools.docs.configuration import reference_page
from tools.docs.events import events_page
from tools.grafana.dashboard import dashboard

ROOT = Path(__file__).parents[2]


def _at_hand(path: str) -> str:
    """A file that `promptlane init` would write, except that a checkout has the schemas where the package has them."""
    text = starter_files((), key_hash=None)[path]
    return text.replace("$schema=config/", "$schema=proxy/config/").replace("$schema=s", "$schema=../proxy/config/s")


MADE: Mapping[Path, Callable[[], str]] = {
    ROOT / "docs" / "cli.md": cli_page,
    ROOT / "docs" / "events.md": events_page,
    ROOT / "docs" / "configuration-reference.md": reference_page,
    ROOT / "docs" / "grafana" / "promptlane.json": dashboard,
    **{ROOT / "proxy" / "config" / "schemas" / file_name(name): partial(schema_text, name) for name in FILES},
    **{ROOT / path: partial(_at_hand, path) for path in starter_files((), key_hash=None)},
}
"""Each file, and what makes its text."""
