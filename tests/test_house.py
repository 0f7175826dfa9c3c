"""The house rules that no other tool checks: mirrors, sizes, words, and the floors of what is installed.

A rule is a function from paths or source to a list of offences, so that a failure names every place at once,
and so that a test can show that the rule bites.
"""

import ast
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import aiohttp.http_parser
import apsw
import pytest

ROOT = Path(__file__).parent.parent
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

NO_TEST_FILE = {
    "proxy/domain/exchange.py": "a record; what fills and seals it is tested",
}
"""Modules with behaviour but without a test file of their own, each with its reason. Keep it short."""

FREE_TEST_FOLDERS = {"e2e", "golden", "harness", "sdk"}
"""Folders of tests that mirror no package: they test the whole, or serve the tests."""

ROOT_TESTS = {"test_house.py", "test_pages.py", "test_project.py", "test_troubleshooting.py"}
"""Tests of the project itself; the others beside them mirror the top-level modules."""

BANNED_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}

SHOWN_TO_THE_OPERATOR = ("proxy/cli/", "proxy/config/")
"""No request or reply passes here, and an exception's text goes to a terminal alone."""


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def has_behaviour(path: Path) -> bool:
    """True where something can be wrong: a function or method, other than a Protocol's."""
    tree = ast.parse(path.read_text())
    protocols = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and _is_protocol(node)]
    promised = {id(inner) for protocol in protocols for inner in ast.walk(protocol)}
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(isinstance(node, functions) and id(node) not in promised for node in ast.walk(tree))


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)


def places_of_test(module: Path) -> list[tuple[Path, str]]:
    """Folder and stem under which a module may be tested: its own, or as a part of its package as a whole.

    `proxy/web/ops.py` is tested in `tests/web/test_ops.py`. A package within a package may be tested in one file,
    `tools/bench/` in `tests/tools/test_bench.py`.
    """
    parts = module.relative_to(ROOT).parent.parts
    folder = ROOT / "tests" / Path(*(parts[1:] if parts[0] == "proxy" else parts))
    own = (folder, parts[-1] if module.stem == "__init__" else module.stem)
    is_inner = folder.parent != ROOT / "tests"
    return [own, (folder.parent, parts[-1])] if is_inner else [own]


def covers(test: Path, place: tuple[Path, str]) -> bool:
    """`test_meter.py` and `test_meter_splits.py` both test `meter`."""
    folder, stem = place
    return test.parent == folder and (test.stem == f"test_{stem}" or test.stem.startswith(f"test_{stem}_"))


def modules() -> list[Path]:
    return python_files("proxy", "tools")


def mirrored_tests() -> list[Path]:
    return [
        path
        for path in python_files("tests")
        if path.name.startswith("test_") and relative(path).split("/")[1] not in FREE_TEST_FOLDERS | ROOT_TESTS
    ]


def test_every_module_has_its_test_file() -> None:
    tests = mirrored_tests()
    missing = [
        relative(module)
        for module in modules()
        if has_behaviour(module)
        and relative(module) not in NO_TEST_FILE
        and not any(covers(test, place) for place in places_of_test(module) for test in tests)
    ]
    assert not missing, "\n".join(missing)


def test_every_test_file_has_its_module() -> None:
    places = [place for module in modules() for place in places_of_test(module)]
    orphans = [relative(test) for test in mirrored_tests() if not any(covers(test, place) for place in places)]
    assert not orphans, "\n".join(orphans)


def test_the_exceptions_are_still_needed() -> None:
    assert [name for name in NO_TEST_FILE if not (ROOT / name).exists()] == []


def test_files_are_short() -> None:
    sizes = {relative(path): len(path.read_text().splitlines()) for path in python_files("proxy", "tests", "tools")}
    assert {name: lines for name, lines in sizes.items() if lines > MAX_FILE_LINES} == {}


def long_functions(source: str) -> list[str]:
    return [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]


def test_functions_are_short() -> None:
    found = {relative(path): long_functions(path.read_text()) for path in python_files("proxy", "tests", "tools")}
    assert {name: functions for name, functions in found.items() if functions} == {}


def test_rule_on_function_length_bites() -> None:
    assert long_functions("def f():\n" + "    pass\n" * MAX_FUNCTION_LINES) == ["f: 61 lines"]
    assert long_functions("def f():\n" + "    pass\n" * (MAX_FUNCTION_LINES - 1)) == []


def test_no_module_is_a_drawer_for_everything() -> None:
    paths = python_files("proxy", "tests", "tools")
    assert [relative(path) for path in paths if BANNED_NAMES & {path.stem, path.parent.name}] == []


def exception_texts(source: str) -> list[int]:
    """Lines on which a caught exception is turned into text, or handed to a call that would do so.

    Its text may quote what a client or provider sent, so it must reach no log line, event or reply. Caught:
    `str(e)`, `repr(e)`, an f-string, `%`, `.format(e)`, `e.args`, logging with `e`, `traceback.format_exc()`.
    `log.exception` may pass: `adapters.logs` writes an exception's type and places, never its text.
    """
    found: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and node.name:
            for inner in node.body:
                found.update(_uses_as_text(inner, node.name))
        if isinstance(node, ast.Attribute) and node.attr in {"format_exc", "print_exc", "format_exception"}:
            found.add(node.lineno)
    return sorted(found)


def _uses_as_text(tree: ast.AST, name: str) -> Iterator[int]:
    for node in ast.walk(tree):
        if any(_names(part, name) for part in _parts_made_text(node)):
            yield node.lineno  # type: ignore[attr-defined]  # every node with such parts has a line


TEXT_FUNCTIONS = {"str", "repr", "format", "ascii"}
TEXT_METHODS = {"format", "debug", "info", "warning", "error", "critical", "log"}


def _parts_made_text(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.FormattedValue(value=value) | ast.Attribute(value=value, attr="args"):
            return [value]
        case ast.BinOp(op=ast.Mod(), right=right):
            return [right]
        case ast.Call(func=ast.Name(id=called), args=args) if called in TEXT_FUNCTIONS:
            return args
        case ast.Call(func=ast.Attribute(attr=called), args=args) if called in TEXT_METHODS:
            return args
    return []


def _names(node: ast.AST, name: str) -> bool:
    """True for the bare variable, also inside a tuple; an attribute of it is a chosen, checked value."""
    if isinstance(node, ast.Tuple):
        return any(_names(element, name) for element in node.elts)
    return isinstance(node, ast.Name) and node.id == name


def test_no_exception_text_leaves() -> None:
    found = {
        name: lines
        for path in python_files("proxy")
        if not (name := relative(path)).startswith(SHOWN_TO_THE_OPERATOR)
        and (lines := exception_texts(path.read_text()))
    }
    assert found == {}


@pytest.mark.parametrize(
    "statement",
    [
        "x = str(e)",
        "x = f'failed: {e!r}'",
        "x = 'failed: %s' % e",
        "x = 'failed: {}'.format(e)",
        "x = e.args[0]",
        "log.warning('failed: %s', e)",
        "text = traceback.format_exc()",
    ],
)
def test_rule_on_exception_text_bites(statement: str) -> None:
    assert exception_texts(f"try:\n    run()\nexcept OSError as e:\n    {statement}\n") == [4]


@pytest.mark.parametrize(
    "statement", ["raise Broken(type(e).__name__) from e", "log.warning('%s', e.code)", "x = str(y)"]
)
def test_rule_on_exception_text_lets_chosen_values_pass(statement: str) -> None:
    assert exception_texts(f"try:\n    run()\nexcept OSError as e:\n    {statement}\n") == []


def foreign_loggers(source: str) -> list[int]:
    """Lines that name a logger otherwise than by `__name__`, whose messages `adapters.logs` would not print."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "getLogger"
        and node.args
        and not (isinstance(node.args[0], ast.Name) and node.args[0].id == "__name__")
    ]


def test_loggers_are_named_after_their_module() -> None:
    found = {relative(path): foreign_loggers(path.read_text()) for path in python_files("proxy")}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_rule_on_loggers_bites() -> None:
    assert foreign_loggers("log = logging.getLogger('journal')\nlog = logging.getLogger(__name__)") == [1]


LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}


def variable_messages(source: str) -> list[int]:
    """Lines that log anything but one constant message: `adapters.logs` prints no arguments, values go to `extra`."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LOG_METHODS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"log", "_log"}
        and not (len(node.args) == 1 and isinstance(node.args[0], ast.Constant))
    ]


def test_log_messages_are_constant() -> None:
    found = {relative(path): variable_messages(path.read_text()) for path in python_files("proxy")}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_rule_on_log_messages_bites() -> None:
    assert variable_messages("log.info('%s', x)\n_log.error(f'{x}')\nlog.info('a', extra={'x': x})") == [1, 2]


def tracked_texts() -> Iterator[tuple[str, str]]:
    if shutil.which("git") is None:
        pytest.skip("git is not installed: which files belong to the project is not known")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout: which files belong to the project is not known")
    for name in filter(None, listing.stdout.split("\0")):
        try:
            yield name, (ROOT / name).read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # recorded bytes of a wire, or a file that is being deleted


HOSTS_AND_PATHS = re.compile(
    r"pythonhosted\.|registry\.npmjs|pypi\.org/simple|(?<![\w./-])/(?:work|farm|root|home/\w+|Users/\w+)/"
)
UNFINISHED = re.compile(r"\b(?:TO" + "DO|FIX" + "ME|XX" + "X)\b")


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = [
        name for name, text in tracked_texts() if name != relative(Path(__file__)) and HOSTS_AND_PATHS.search(text)
    ]
    assert found == []


def test_rule_on_machines_bites() -> None:
    assert HOSTS_AND_PATHS.search('"resolved": "https://files.pythonhosted.org/x"')
    assert HOSTS_AND_PATHS.search("see /root/project/file.py")
    assert not HOSTS_AND_PATHS.search("POST /v1/work/root/ and proxy/work/")


def test_nothing_is_left_unfinished() -> None:
    assert [name for name, text in tracked_texts() if UNFINISHED.search(text)] == []


def test_installed_floors_hold() -> None:
    assert tuple(map(int, version("aiohttp").split(".")[:3])) >= (3, 14, 4)
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 51, 3)


def test_aiohttp_parses_in_c() -> None:
    """The parser in Python lets smuggled requests through that the one in C refuses."""
    assert aiohttp.http_parser.HttpRequestParser is not aiohttp.http_parser.HttpRequestParserPy
    assert aiohttp.http_parser.HttpResponseParser is not aiohttp.http_parser.HttpResponseParserPy


def test_no_package_runs_code_at_interpreter_start() -> None:
    """A `.pth` line that imports runs in every process: how stolen packages have spied before."""
    known = {"distutils-precedence.pth"}  # setuptools' own
    folder = Path(sysconfig.get_paths()["purelib"])
    importing = {
        path.name for path in folder.glob("*.pth") if re.search(r"^import[ \t]", path.read_text(), re.MULTILINE)
    }
    assert importing - known == set()
