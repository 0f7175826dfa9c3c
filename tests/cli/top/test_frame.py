from dataclasses import replace

import pytest

from proxy.cli.terminal import RED, columns
from proxy.cli.top.frame import frame_of, notice
from proxy.cli.top.view import Outbox, Traffic, View, view_of
from tests.cli.top.looks import FRAME, golden
from tests.cli.top.test_view import NOTHING

HERE = "http://127.0.0.1:4000"
CALM = View(
    span_s=2.0,
    version="1.4.0",
    workers=1,
    config_digests=("1a2b3c4d5e6f",),
    was_last_reload_applied=True,
    calls_running=0,
    total=NOTHING,
    targets={},
    outbox=Outbox(
        pending_events=1,
        pending_bytes=1700,
        max_bytes=1 << 30,
        oldest_age_s=2.0,
        delivered_per_s=0.0,
        unbalanced=0,
        dead={},
        dropped_total={},
    ),
    degraded=(),
)


def texts(view: View, address: str = HERE, *, width: int = 80, rows: int | None = None) -> list[str]:
    return [line.text for line in frame_of(view, address, width=width, rows=rows)]


def test_metrics_in_frame_out() -> None:
    assert texts(view_of(golden())) == FRAME.splitlines()


def test_a_proxy_at_rest() -> None:
    assert texts(CALM) == [
        "promptlane 1.4.0 · 1 worker · configuration 1a2b3c4d5e6f   http://127.0.0.1:4000",
        "0 running, 0 calls ended in the last 2 s",
        "",
        *FRAME.splitlines()[3:5],
        "all                   0.0    -     -     -     -     -    -    -       -       -",
        "",
        "outbox     1 event (1.66 KB of 1 GB), the oldest 2 s old; 0.0 delivered/s",
    ]


def test_of_a_proxy_that_tells_nothing_a_frame_still_can_be_made() -> None:
    outbox = replace(CALM.outbox, pending_events=None)
    unknown = replace(CALM, version=None, workers=None, config_digests=(), calls_running=None, outbox=outbox)
    assert texts(unknown)[0].startswith("promptlane   ")
    assert texts(unknown)[1] == "0 calls ended in the last 2 s"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"degraded": ("memory",)}, "degraded   The journal has no file"),
        ({"degraded": ("something_new",)}, "degraded   something_new"),
        ({"was_last_reload_applied": False}, "reload     The files cannot be used"),
        ({"config_digests": ("aaa", "bbb")}, "promptlane 1.4.0 · 1 worker · configuration aaa and bbb"),
        ({"outbox": replace(CALM.outbox, unbalanced=3)}, "unbalanced 3 events"),
        ({"outbox": replace(CALM.outbox, pending_events=0)}, "outbox     0 events (1.66 KB of 1 GB); 0.0"),
        ({"outbox": replace(CALM.outbox, max_bytes=None)}, "outbox     1 event, the oldest 2 s old; 0.0"),
        ({"total": replace(NOTHING, cancelled=1)}, "0 running, 0 calls ended in the last 2 s; 1 client left early"),
    ],
)
def test_what_somebody_should_look_at_has_a_line(changes: dict[str, object], told: str) -> None:
    assert any(line.startswith(told) for line in texts(replace(CALM, **changes)))  # type: ignore[arg-type]


def test_alarms_are_red_and_figures_are_not() -> None:
    colours = {line.text.split(" ")[0]: line.colour for line in frame_of(view_of(golden()), HERE)}
    assert colours["degraded"] == colours["errors"] == colours["reload"] == RED
    assert colours["openai"] == colours["outbox"] == ""


def crowd(count: int) -> View:
    """So many targets, with names as long as configuration lets them be, all failing."""
    failing = replace(NOTHING, calls=3, errors={"provider_authentication": 3}, error_share=1.0, unpriced=3)
    targets: dict[str, Traffic] = {f"模{'x' * 90}-{number}/\x1b[2Jmodel": failing for number in range(count)}
    return replace(CALM, targets=targets)


@pytest.mark.parametrize("width", [40, 60, 79, 80, 81, 120, 300])
def test_no_line_is_wider_than_it_may_be_or_moves_the_cursor(width: int) -> None:
    lines = texts(crowd(9), address="http://" + "a" * 70 + ":4000", width=width)
    assert max(map(columns, lines)) <= width
    assert all(line.isprintable() for line in lines)


def test_a_wide_terminal_has_room_for_names_and_no_more_than_they_need() -> None:
    lines = texts(view_of(golden()), width=200)
    row = next(line for line in lines if line.startswith("local"))
    assert row == f"local_lab_gpu_2/qwen3-coder-30b {FRAME.splitlines()[7][18:]}"
    assert max(map(len, lines)) == len(row)


@pytest.mark.parametrize(("width", "left"), [(79, 64), (64, 64), (63, 54), (60, 54), (40, 30)])
def test_on_a_narrow_terminal_figures_give_way_from_the_right(width: int, left: int) -> None:
    assert texts(CALM, width=width)[3:6] == [line[:left] for line in texts(CALM)[3:6]]


def test_targets_give_way_where_the_terminal_is_low() -> None:
    whole = texts(crowd(30))
    low = texts(crowd(30), rows=len(whole) - 10)
    assert len(low) == len(whole) - 10
    (gap,) = [line for line in low if line.startswith("…")]
    assert gap == "… and 11 targets with fewer calls"
    assert low[-1] == whole[-1]
    assert texts(crowd(30), rows=len(whole)) == whole
    assert len(texts(crowd(30), rows=4)) == 4


def test_the_share_of_errors_is_0_only_where_there_was_none() -> None:
    shares = {0.0: "0%", 0.0001: "0.1%", 0.0994: "9.9%", 0.0996: "10%", 1.0: "100%"}
    for share, shown in shares.items():
        view = replace(CALM, total=replace(NOTHING, calls=1, error_share=share))
        assert texts(view)[5].split()[2] == shown


def test_a_notice_says_why_there_are_no_figures() -> None:
    lines = [line.text for line in notice("It does not answer. " * 9, HERE)]
    assert lines[0].startswith("promptlane")
    assert lines[0].endswith(HERE)
    assert max(map(len, lines)) <= 80
    assert len(lines) == 5
