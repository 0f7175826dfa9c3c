from datetime import UTC, datetime

from proxy.cli.report_picture import picture

DAY = datetime(2026, 11, 20, tzinfo=UTC)


def test_parts_beyond_the_dearest_are_others_and_the_unknown_costs_nothing() -> None:
    rows = [
        {"day": DAY, "part": f"v{number}", "calls": 10, "failed": 1, "cost_usd": float(number) or None}
        for number in range(8)
    ]
    calls, failed, costs = picture(rows)["vconcat"]
    assert calls["data"]["values"] == [{"day": DAY.isoformat(), "value": 80.0}]
    assert failed["data"]["values"] == [{"day": DAY.isoformat(), "value": 0.1}]
    assert [row["part"] for row in costs["data"]["values"]][:3] == ["others", "others", "v2"]
    assert costs["data"]["values"][0]["value"] == 0.0
