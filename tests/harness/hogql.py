"""PostHog's own parser of HogQL."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


@contextmanager
def hogql_parser() -> Iterator[ModuleType]:
    """It looks for its errors in the application that it was taken from, so these are put there for a while."""
    names = ("BaseHogQLError", "ExposedHogQLError", "ImpossibleASTError", "InternalHogQLError", "NotImplementedError")
    errors: Any = ModuleType("posthog.hogql.errors")
    for name in (*names, "ParsingError", "QueryError", "ResolutionError", "SyntaxError"):
        setattr(errors, name, type(name, (Exception,), {"__init__": lambda self, *told, **_: None}))
    package: Any = ModuleType("posthog.hogql")
    package.errors = errors
    stand_ins = {"posthog.hogql": package, "posthog.hogql.errors": errors}
    sys.modules.update(stand_ins)
    try:
        yield importlib.import_module("hogql_parser")
    finally:
        for name in stand_ins:
            sys.modules.pop(name, None)
