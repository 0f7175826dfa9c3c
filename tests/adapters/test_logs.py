import io
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from proxy.adapters import logs

CANARY = "CANARY-5b2e"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Logging as `configure` makes it, with what it wrote; the process's own logging is put back."""
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    stream = io.StringIO()
    logs.configure("debug", stream)
    yield lambda: [orjson.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], logging.raiseExceptions = handlers, raises
    root.setLevel(level)


def test_our_records_are_a_constant_message_and_named_fields(lines: Lines) -> None:
    logging.getLogger("proxy.app").warning("calls were closed", extra={"calls": 3, "kind": "line\nbreak"})
    (line,) = lines()
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "proxy.app",
        "message": "calls were closed",
        "calls": 3,
        "kind": "line\nbreak",
    }


def test_arguments_of_a_message_are_not_written(lines: Lines) -> None:
    logging.getLogger("proxy").error("it failed: %s", CANARY)
    assert lines()[0]["message"] == "it failed: %s"
    assert CANARY not in str(lines())


@pytest.mark.parametrize("name", ["aiohttp.server", "asyncio", "proxyish", "root"])
def test_of_other_loggers_only_their_name_and_level_are_kept(lines: Lines, name: str) -> None:
    logging.getLogger(name).error(CANARY, extra={"request": CANARY})
    (line,) = lines()
    assert set(line) == {"at", "level", "logger"}
    assert (line["level"], line["logger"]) == ("error", name)


def test_what_another_module_tells_in_our_own_words_is_not_written_again(lines: Lines) -> None:
    logging.getLogger("opentelemetry.exporter.otlp").error(CANARY)
    logging.getLogger("opentelemetry_lookalike").error(CANARY)
    assert [line["logger"] for line in lines()] == ["opentelemetry_lookalike"]


@pytest.mark.parametrize("name", ["proxy.web.gateway", "asyncio"])
def test_an_exception_is_told_by_type_and_places_alone(lines: Lines, name: str) -> None:
    try:
        int(CANARY)
    except ValueError:
        logging.getLogger(name).exception("a bug")
    (line,) = lines()
    assert line["exception"] == "ValueError"
    (place,) = line["places"]
    assert place.startswith("test_logs.py:")
    assert place.endswith(" test_an_exception_is_told_by_type_and_places_alone")
    assert CANARY not in str(line)


def test_exc_info_without_an_exception_is_no_exception(lines: Lines) -> None:
    logging.getLogger("proxy").error("none", exc_info=sys.exc_info())
    assert "exception" not in lines()[0]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (object(), "object"),
        (b"bytes", "bytes"),
        (1 << 80, "int"),
        ("\ud800", "str"),
        ({1: "a"}, "dict"),
        ({"a": {1, 2}}, {"a": "set"}),
    ],
    ids=["object", "bytes", "huge", "surrogate", "keys", "nested"],
)
def test_a_value_that_json_cannot_hold_is_named_by_its_type(lines: Lines, value: object, shown: object) -> None:
    logging.getLogger("proxy").error("odd", extra={"value": value, "kept": "yes"})
    (line,) = lines()
    assert line["value"] == shown
    assert line["kept"] == "yes"


def test_a_record_whose_message_is_no_text_is_named_by_its_type(lines: Lines) -> None:
    logging.getLogger("proxy").error(ValueError(CANARY))
    assert lines()[0]["message"] == "ValueError"


def test_what_is_below_the_level_is_not_written(lines: Lines) -> None:
    stream = io.StringIO()
    logs.configure("WARNING", stream)
    logging.getLogger("proxy").info("quiet")
    assert stream.getvalue() == ""


def test_a_pipe_that_is_closed_says_nothing_elsewhere(lines: Lines, capfd: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    logs.configure("info", stream)
    stream.close()
    logging.getLogger("proxy").error(CANARY)
    assert "".join(capfd.readouterr()) == ""
