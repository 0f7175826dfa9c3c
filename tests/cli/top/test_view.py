import pytest

from proxy.cli.top.scrape import Window, parse
from proxy.cli.top.view import Outbox, Traffic, View, view_of
from tests.cli.top.looks import golden

NOTHING = Traffic(
    calls=0,
    cancelled=0,
    unpriced=0,
    errors={},
    error_share=None,
    calls_per_s=0.0,
    ttft_p50_s=None,
    ttft_p95_s=None,
    latency_p50_s=None,
    latency_p95_s=None,
    input_tokens_per_s=None,
    output_tokens_per_s=None,
    cost_usd_per_h=None,
    cost_usd_total=None,
)


def seen(before: str, after: str) -> View:
    return view_of(Window(before=parse(f"promptlane_x 0\n{before}", 0), after=parse(f"promptlane_x 0\n{after}", 10)))


def test_the_busiest_target_by_values() -> None:
    view = view_of(golden())
    assert list(view.targets) == ["openai", "anthropic", "local_lab_gpu_2/qwen3-coder-30b", "none"]
    assert view.targets["openai"] == Traffic(
        calls=100,
        cancelled=3,
        unpriced=0,
        errors={"provider_rate_limit": 4, "timeout_idle": 3},
        error_share=0.07,
        calls_per_s=5.0,
        ttft_p50_s=0.5,
        ttft_p95_s=0.95,
        latency_p50_s=0.875,
        latency_p95_s=2.5,
        input_tokens_per_s=630.0,
        output_tokens_per_s=5000.0,
        cost_usd_per_h=225.0,
        cost_usd_total=42.75,
    )
    assert (view.total.calls, view.total.errors["upstream_connect"], view.total.unpriced) == (126, 1, 4)


def test_the_proxy_and_its_outbox_by_values() -> None:
    view = view_of(golden())
    assert (view.version, view.workers, view.config_digests) == ("1.4.0", 2, ("1a2b3c4d5e6f",))
    assert (view.calls_running, view.span_s, view.was_last_reload_applied) == (3, 20.0, False)
    assert view.degraded == ("delivery", "disk_full")
    assert view.outbox == Outbox(
        pending_events=1250,
        pending_bytes=2_200_000,
        max_bytes=1 << 30,
        oldest_age_s=312.4,
        delivered_per_s=5.0,
        unbalanced=2,
        dead={"quota": 12, "poison": 1},
        dropped_total={"full": 40},
    )


def test_of_a_proxy_that_tells_nothing_nothing_is_known() -> None:
    view = seen("", "")
    assert (view.version, view.workers, view.config_digests, view.calls_running) == (None, None, (), None)
    assert view.was_last_reload_applied
    assert view.total == NOTHING
    assert view.outbox.pending_events is None
    assert view.outbox.delivered_per_s is None


def test_a_target_that_was_not_called_meanwhile_keeps_its_total() -> None:
    told = 'promptlane_calls_total{status="success",target="a"} 5\npromptlane_cost_usd_total{target="a"} 1.5'
    traffic = seen(told, told).targets["a"]
    assert (traffic.calls, traffic.error_share, traffic.cost_usd_per_h, traffic.cost_usd_total) == (0, None, 0.0, 1.5)


@pytest.mark.parametrize(
    ("statuses", "cost_usd_per_h"),
    [({"unpriced": 3}, None), ({"unpriced": 3, "priced": 1}, 360.0), ({"unpriced": 3, "partial": 1}, 360.0)],
)
def test_the_cost_of_calls_without_a_price_is_not_0(statuses: dict[str, int], cost_usd_per_h: float | None) -> None:
    gained = 0 if cost_usd_per_h is None else 1
    before = 'promptlane_cost_usd_total{target="a"} 9'
    after = [f'promptlane_cost_status_total{{cost_status="{name}",target="a"}} {n}' for name, n in statuses.items()]
    view = seen(before, "\n".join([*after, f'promptlane_cost_usd_total{{target="a"}} {9 + gained}']))
    assert view.targets["a"].cost_usd_per_h == cost_usd_per_h
    assert view.targets["a"].unpriced == 3
