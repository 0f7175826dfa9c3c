import asyncio
import os
import signal
from collections.abc import Callable, Iterator

import aiohttp
import orjson
import pytest

from proxy.cli import main, top
from proxy.cli.top import History
from proxy.cli.top.frame import Line
from proxy.cli.top.scrape import Scrape, parse
from proxy.cli.top.source import NoFigures, Source
from tests.cli.top.looks import AFTER, BEFORE, FRAME

OUT_OF_REACH = NoFigures("Nothing listens.")


def looks(*told: str | NoFigures) -> Iterator[Scrape | NoFigures]:
    """One for each interval; twenty seconds lie between them by the proxy's figures."""
    for number, text in enumerate(told):
        yield text if isinstance(text, NoFigures) else parse(text, 20.0 * number)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Takes what the proxy tells, look by look; after the last one somebody ends the verb with SIGTERM."""
    monkeypatch.delenv("PROMPTLANE_PORT", raising=False)
    pause = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _: pause(0))

    def tells(*told: str | NoFigures) -> None:
        left = looks(*told)

        async def scrape(_: Source, __: aiohttp.ClientSession) -> Scrape:
            look = next(left, None)
            if look is None:
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.Event().wait()
                raise AssertionError
            if isinstance(look, NoFigures):
                raise look
            return look

        monkeypatch.setattr(Source, "scrape", scrape)

    return tells


def test_once_is_one_frame_of_80_columns(proxy: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    proxy(BEFORE, AFTER)
    assert main(["top", "--once"]) == 0
    assert capsys.readouterr().out == FRAME


def test_once_for_scripts(proxy: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    proxy(BEFORE, AFTER)
    assert main(["top", "--once", "--json"]) == 0
    told = orjson.loads(capsys.readouterr().out)
    assert told["targets"]["openai"]["cost_usd_per_h"] == 225.0
    assert told["targets"]["local_lab_gpu_2/qwen3-coder-30b"]["ttft_p50_s"] is None
    assert told["outbox"]["oldest_age_s"] == 312.4
    assert told["at"].endswith("+00:00")


def test_once_without_figures_is_a_failure(proxy: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    proxy(OUT_OF_REACH)
    assert main(["top", "--once"]) == 1
    assert capsys.readouterr() == ("", "Nothing listens.\n")


def test_elsewhere_than_on_a_terminal_frames_follow_each_other(
    proxy: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    proxy(BEFORE, AFTER, OUT_OF_REACH, OUT_OF_REACH, AFTER)
    assert main(["top"]) == 0
    first, *between, last = capsys.readouterr().out.split("promptlane")[1:]
    assert "the first figures come after one interval" in first
    assert FRAME.startswith(f"promptlane{between[0]}")
    assert sum("Nothing listens." in told for told in between) == 1
    assert "ended in the last 60 s" in "".join(between)
    assert last


def test_json_lines_have_what_happened_in_each_interval(
    proxy: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    proxy(BEFORE, AFTER, OUT_OF_REACH, AFTER)
    assert main(["top", "--json"]) == 0
    told = capsys.readouterr()
    lines = [orjson.loads(line) for line in told.out.splitlines()]
    assert [(line["span_s"], line["total"]["calls"]) for line in lines] == [(20.0, 126), (40.0, 0)]
    assert told.err.splitlines()[1:] == ["Nothing listens."]


def test_on_a_terminal_a_frame_fits_it(
    proxy: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn: list[list[Line]] = []
    for name, does in {"is_screen": lambda: True, "dimensions": lambda: (60, 9), "draw": drawn.append}.items():
        monkeypatch.setattr(top, name, does)
    proxy(BEFORE, AFTER)
    assert main(["top"]) == 0
    notice, frame = drawn
    assert notice[-1].text.startswith("Watching")
    assert len(frame) == 9
    assert max(len(line.text) for line in frame) <= 60
    assert capsys.readouterr().out.endswith("\x1b[?1049l")


def at(second: float, calls: int = 1) -> Scrape:
    return parse(f"promptlane_calls_total {calls}\n", second)


def test_the_history_goes_back_as_far_as_is_shown_and_no_further() -> None:
    history = History(60.0)
    with pytest.raises(NoFigures, match="first figures"):
        history.add(at(0))
    assert [history.add(at(second)).span_s for second in (20, 40, 60, 80, 100, 500)] == [20, 40, 60, 60, 60, 400]


def test_a_restart_begins_the_history_anew() -> None:
    history = History(60.0)
    with pytest.raises(NoFigures):
        history.add(at(0, calls=9))
    with pytest.raises(NoFigures, match="started anew"):
        history.add(at(10, calls=1))
    assert history.add(at(20, calls=2)).span_s == 10


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--url", "127.0.0.1:4000"), "write it as http://HOST:PORT"),
        (("--interval", "0"), "write seconds"),
        (("--interval", "nan"), "write seconds"),
    ],
)
def test_misuse(words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["top", *words])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_the_port_is_that_of_serve(
    proxy: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROMPTLANE_PORT", "4711")
    proxy(BEFORE, AFTER)
    assert main(["top", "--once"]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("http://127.0.0.1:4711")
    monkeypatch.setenv("PROMPTLANE_PORT", "a lot")
    assert main(["top", "--once"]) == 2
    assert "PROMPTLANE_PORT" in capsys.readouterr().err
