import ast
from pathlib import Path

from proxy.config.variables import OURS, VARIABLES

PROXY = Path(__file__).parents[2] / "proxy"
READ_BY_A_LIBRARY = {"OTEL_EXPORTER_OTLP_ENDPOINT"}
NAMES = [variable.name for variable in VARIABLES]


def texts_in_the_code() -> set[str]:
    """All text constants, but for those of the table itself."""
    files = [path for path in PROXY.rglob("*.py") if path.name != "variables.py"]
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text()))]
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_the_table_has_every_variable_of_ours_and_nothing_that_nobody_reads() -> None:
    texts = texts_in_the_code()
    ours = {text for text in texts if text.startswith(OURS) and text != OURS and text.isupper() and text.isidentifier()}
    assert ours - set(NAMES) == set()
    assert set(NAMES) - texts == READ_BY_A_LIBRARY


def test_each_stands_once_and_says_what_it_is_for() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert [variable.name for variable in VARIABLES if not variable.meaning.endswith(".")] == []
