"""The benchmark may only be believed if it notices a wrong byte, a cut reply and a lost event; and it must work."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tools.bench import measures
from tools.bench.__main__ import main
from tools.bench.growth import QUICK, SERIES
from tools.bench.machine import Cores
from tools.bench.measures import Bench, Row, count_events
from tools.bench.payload import STREAM_EVENTS, plain, stream
from tools.bench.recipes import RECIPES
from tools.bench.rig import Rig, Target, at_rate, build, closed, compiler, held
from tools.bench.site import Gateway, Site

ROOT = Path(__file__).parent.parent.parent
GAP_US = 4_000
SCRIPTS = [
    plain("plain"),
    stream("stream"),
    stream("paced", events=20, gap_us=GAP_US),
    stream("long", events=100, gap_us=GAP_US),
]

needs_compiler = pytest.mark.skipif(
    compiler() is None, reason="no C compiler: the rig of the benchmark is written in C"
)


@pytest.fixture(scope="module")
def programs() -> Path:
    return build()


@contextmanager
def rig_in(folder: Path, programs: Path) -> Iterator[tuple[Rig, Target]]:
    """A rig, and the direct calls as its target."""
    rig = Rig(programs, folder, SCRIPTS)
    with rig.upstream() as port:
        yield rig, Target(port, rig.write_requests(folder / "requests", {}))


@needs_compiler
@pytest.mark.parametrize("name", ["plain", "stream"])
def test_full_speed_counts_checked_replies(name: str, tmp_path: Path, programs: Path) -> None:
    with rig_in(tmp_path, programs) as (rig, target):
        script = rig.scripts[name]
        window = rig.run(closed(script, 3, 0.1), target)
    assert (window.errors, window.unfinished, window.connections) == (0, 0, 3)
    assert window.all_replies >= window.replies > 3
    assert window.bytes > window.all_replies * len(script.reply)
    assert window.events == pytest.approx(window.replies * script.stamped_events, abs=3 * STREAM_EVENTS)


@needs_compiler
def test_a_paced_stream_is_seen_event_by_event(tmp_path: Path, programs: Path) -> None:
    with rig_in(tmp_path, programs) as (rig, target):
        window = rig.run(at_rate(rig.scripts["paced"], 40, 0.2), target)
    assert (window.all_replies, window.errors) == (8, 0)
    assert window.latency_us is not None
    assert window.first_byte_us is not None
    assert window.transit_us is not None
    assert window.latency_us["p50"] >= 18 * GAP_US
    assert window.first_byte_us["p50"] < window.latency_us["p50"] / 2


@needs_compiler
def test_events_of_held_streams_are_counted_while_all_are_open(tmp_path: Path, programs: Path) -> None:
    with rig_in(tmp_path, programs) as (rig, target):
        window = rig.run(held(rig.scripts["long"], 10, ramp_s=0.01, seconds=0.1), target)
    assert window.all_replies == 10
    assert 0 < window.events < 10 * rig.scripts["long"].stamped_events


@needs_compiler
@pytest.mark.parametrize("name", ["plain", "stream"])
def test_a_wrong_byte_is_an_error(name: str, tmp_path: Path, programs: Path) -> None:
    with rig_in(tmp_path, programs) as (rig, target):
        reply = tmp_path / f"{name}.reply"
        reply.write_bytes(reply.read_bytes().replace(b"gpt-4.1", b"gpt-4.2", 1))
        window = rig.run(closed(rig.scripts[name], 1, 0.05), target)
    assert window.all_replies == 0
    assert window.errors == 1
    assert "not what was expected" in window.first_error


@needs_compiler
def test_a_cut_reply_is_an_error(tmp_path: Path, programs: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, rig_in(tmp_path, programs) as (rig, target):

        def cut() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + rig.scripts["plain"].reply[:50])

        cutter = threading.Thread(target=cut)
        cutter.start()
        window = rig.run(closed(rig.scripts["plain"], 1, 0.05), Target(server.getsockname()[1], target.requests))
        cutter.join()
    assert (window.all_replies, window.errors) == (0, 1)
    assert "closed after 50 bytes" in window.first_error


@needs_compiler
def test_bodies_and_replies_grow_without_errors(tmp_path: Path, programs: Path) -> None:
    rig = Rig(programs, tmp_path, QUICK.scripts())
    with rig.upstream() as port:
        site = Site(rig, Cores(None, None), tmp_path, upstream_port=port, capture_port=0)
        row = Row("direct", site.direct())
        points = [
            point
            for axis in ("bytes of a JSON request", "bytes of an upload", "bytes of a reply")
            for point in SERIES[axis](Bench(site, QUICK.size), row, QUICK)
        ]
    assert [at for at, _ in points] == [*QUICK.json_bodies, *QUICK.uploads, *QUICK.replies]
    assert all(figures["longest wait of a health call, ms"] > 0 for _, figures in points)
    assert row.problems == []


def test_a_lost_event_fails_the_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe = next(recipe for recipe in RECIPES if recipe.keeps_events)
    target = Target(0, tmp_path)
    rig = Rig(tmp_path, tmp_path, [])
    bench = Bench(Site(rig, Cores(None, None), tmp_path, upstream_port=0, capture_port=0), QUICK.size)
    monkeypatch.setattr(measures, "pending_events", lambda _: 29)
    row = Row(recipe.name, target, Gateway(recipe, target, tmp_path, 0.1), calls=10)
    count_events(bench, row)
    assert row.problems == ["29 events of 10 calls, 3 each"]


def test_a_call_that_never_ends_fails_the_row() -> None:
    window = SimpleNamespace(unfinished=2, replies=10, all_replies=10, seconds=1.0, cpu_s=0.5)
    bench = SimpleNamespace(
        window=lambda *_: window, rest=lambda _: None, script=str, size=SimpleNamespace(connections=1, seconds=1)
    )
    row = SimpleNamespace(target=SimpleNamespace(pid=os.getpid()), problems=[])
    measures._plain(cast("Bench", bench), cast("Row", row))
    assert row.problems == ["plain: 2 calls never ended"]


@needs_compiler
def test_the_benchmark_works_and_its_counts_agree(tmp_path: Path) -> None:
    """A process of its own: it pins itself to a core."""
    path = tmp_path / "bench.json"
    rows = "promptlane,promptlane + PostHog"
    chosen = ["--quick", "--rows", rows, "--measures", "plain,paced,held", "--json", str(path)]
    command = [sys.executable, "-m", "tools.bench", *chosen]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(path.read_text())
    assert found["problems"] == {name: [] for name in ("direct", *rows.split(","))}
    assert all(row["figures"]["requests_per_s"]["median"] > 0 for row in found["rows"])
    assert "plain requests/s" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rows", "nginx,apache"], "no row 'apache'; there are: direct, nginx"),
        (["--measures", "speed"], "no measure 'speed'; there are: plain"),
        (["--markdown", "--json", "/nowhere/bench.json"], "run `make bench` first"),
    ],
)
def test_misuse_is_told(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err
