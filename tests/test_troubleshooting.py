"""The page of messages knows every message that there is, and none that there is not."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from typing import TypeVar

from proxy.adapters.journal.tally import Drop
from proxy.adapters.metrics import PARTS
from proxy.cli.doctor.reach import _FAILURES
from proxy.domain.errors import ErrorType, ProxyError
from proxy.domain.outcomes import BadOutcome
from tests.harness.pages import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
SOURCES = {path: ast.parse(path.read_text()) for path in sorted((ROOT / "proxy").rglob("*.py"))}
TOLD_LEVELS = {"warning", "error", "critical", "exception"}
DOCTOR = ROOT / "proxy" / "cli" / "doctor"
NAMED_AT_RUN_TIME = {"providers", "a provider's name"}
"""Of the doctor's lines: a provider's name and address stand for these."""


def section(heading: str) -> str:
    """From a heading of the second level to the next."""
    (found,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def first_cells(text: str) -> Iterator[list[str]]:
    """The cells of each row of the tables in it, without their heads."""
    for line in re.findall(r"^\| .* \|$", text, re.MULTILINE):
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if "`" in cells[0] or "**" in cells[0]:
            yield cells


def in_code(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


Node = TypeVar("Node", bound=ast.AST)


def nodes(kind: type[Node]) -> Iterator[tuple[str, Node]]:
    """Every node of a kind in the source, with its module's name."""
    for path, tree in SOURCES.items():
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        yield from ((module, node) for node in ast.walk(tree) if isinstance(node, kind))


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the source, with its module's name."""
    return nodes(ast.Call)


def answered_codes() -> set[tuple[str, str]]:
    """Code and status of each error that is made somewhere, or chosen from a table to be made.

    A code that is handed on, from another process or a variable, was made elsewhere.
    """
    classes = {made.__name__: made for made in errors()}
    found = set()
    for _, call in calls():
        if isinstance(call.func, ast.Name) and call.func.id in classes:
            made = classes[call.func.id]
            given = next((keyword.value for keyword in call.keywords if keyword.arg == "code"), None)
            if given is None or isinstance(given, ast.Constant):
                code = made.error_type.value if given is None else str(given.value)
                found.add((code, str(made.http_status)))
    by_patience = import_module("proxy.pipeline.patience")._MESSAGES
    by_field = (BadOutcome([]).code, str(BadOutcome.http_status))
    return found | {by_field} | {(made.error_type.value, str(made.http_status)) for made in by_patience}


def errors() -> Iterator[type[ProxyError]]:
    """Those of all modules, whoever has imported them so far."""
    found: dict[str, type[ProxyError]] = {ProxyError.__name__: ProxyError}
    while added := {
        node.name: getattr(import_module(module), node.name)
        for module, node in nodes(ast.ClassDef)
        if node.name not in found and any(isinstance(base, ast.Name) and base.id in found for base in node.bases)
    }:
        found |= added
    return iter(found.values())


def test_every_error_code_is_explained_with_its_status() -> None:
    rows = list(first_cells(section("Errors that the proxy answers with")))
    named = [(code, cells[1]) for cells in rows for code in in_code(cells[0])]
    assert sorted(named) == sorted(answered_codes())


def test_every_error_type_is_explained() -> None:
    named = [name for cells in first_cells(section("What `error_type` says")) for name in in_code(cells[0])]
    assert sorted(set(named) - {"error_type"}) == sorted(kind.value for kind in ErrorType)


def log_messages() -> set[str]:
    """What the log may say from level warning on; that it is constant is tested elsewhere."""
    return {
        ast.literal_eval(call.args[0])
        for _, call in calls()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in TOLD_LEVELS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id.strip("_") == "log"
    }


def test_every_warning_and_error_of_the_log_is_explained() -> None:
    explained = re.findall(r"\*\*(.+?)\*\*[,:]", section("Warnings and errors in the log"))
    assert len(log_messages()) > 20
    assert sorted(explained) == sorted(log_messages())


def doctor_titles() -> set[str]:
    """The titles of findings, as far as they are constants of the doctor's modules."""
    found = set()
    for module, call in calls():
        makes = isinstance(call.func, ast.Name) and call.func.id in {"ok", "warn", "fail", "skip", "_floor", "_key"}
        if makes and module.startswith("proxy.cli.doctor"):
            title = call.args[0]
            if isinstance(title, ast.Constant):
                found.add(str(title.value))
            elif isinstance(title, ast.Name) and title.id.isupper():
                found.add(getattr(import_module(module), title.id))
    return found


def test_every_line_of_the_doctor_is_explained() -> None:
    rows = [cells[0] for cells in first_cells(section("Lines of the doctor"))]
    explained = {title for cell in rows for title in re.findall(r"\*\*(.+?)\*\*", cell)}
    assert explained == doctor_titles()


def test_every_failure_to_reach_a_host_is_explained() -> None:
    page = section("Lines of the doctor")
    assert [found for found, _ in _FAILURES.values() if found.removeprefix("its certificate ") not in page] == []


def test_every_reason_for_the_loss_of_an_event_is_explained() -> None:
    dropped, dead = section("Events that were dropped or refused").split("*Dead* events")
    assert {name for cells in first_cells(dropped) for name in in_code(cells[0])} == {drop.value for drop in Drop}
    reasons = {name for cells in first_cells(dead) for name in in_code(cells[0])}
    assert reasons == {"quota", "poison", "refused", "expired", "too_large"}
    assert {name for cells in first_cells(section("Degraded")) for name in in_code(cells[0])} == set(PARTS)


def test_other_messages_that_are_named_are_still_said() -> None:
    said = "\n".join(
        node.value
        for tree in SOURCES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    named = [cells[0] for heading in ("Lines of `check`", "At the terminal") for cells in first_cells(section(heading))]
    fragments = [fragment for cell in named for fragment in in_code(cell)]
    assert len(fragments) > 10
    assert [fragment for fragment in fragments if fragment not in said] == []
