from datetime import UTC, datetime
from decimal import Decimal

import pytest

from proxy.pages import wording


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (wording.count(1234567), "1,234,567"),
        (wording.count(None), "–"),
        (wording.share(0.0), "0 %"),
        (wording.share(1.0), "100 %"),
        (wording.share(0.0123), "1.2 %"),
        (wording.share(0.00042), "0.04 %"),
        (wording.duration(0.83), "0.8 ms"),
        (wording.duration(340.4), "340 ms"),
        (wording.duration(2_410), "2.41 s"),
        (wording.duration(24_100), "24.1 s"),
        (wording.duration(200_000), "3 min 20 s"),
        (wording.money(0), "$0.00"),
        (wording.money(12.345), "$12.35"),
        (wording.money(1234.5), "$1,234"),
        (wording.money(0.0123), "$0.0123"),
        (wording.money(Decimal("0.000123456")), "$0.000123"),
        (wording.money(1e-12), "$0.00000000"),
        (wording.money(None), "–"),
        (wording.score(0.876), "0.88"),
        (wording.moment(datetime(2026, 5, 21, 13, 4, 9, 123, tzinfo=UTC)), "2026-05-21 13:04:09"),
        (wording.change(112, 100), "+12 %"),
        (wording.change(88, 100), "−12 %"),
        (wording.change(100.2, 100), "±0 %"),
        (wording.change(5_000, 100), "×50"),
        (wording.change(1, 0), ""),
        (wording.change(None, 1), ""),
        (wording.points(0.03, 0.01), "+2.0 pts"),
        (wording.points(0.01, 0.03), "−2.0 pts"),
        (wording.points(0.01, None), ""),
    ],
)
def test_numbers_have_a_unit_and_three_digits_that_matter(said: str, expected: str) -> None:
    assert said == expected
