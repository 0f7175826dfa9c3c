"""A million calls: how long each page takes, in the process that makes them. `make soak ARGS=tests/pages -s` tells."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import apsw
import pytest

from proxy.adapters.analysis import Analysis, open_analysis
from proxy.adapters.journal import journal_files
from proxy.pages.request import PageRequest, Reader
from proxy.pages.site import Site, utc_now
from tests.pages.seeding import seed
from tools.bench.machine import CpuTimes, shares_of_others

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_800)]

COPIES, CALLS = 50, 20_000
LENGTH = timedelta(hours=14)
LIMIT_S = 1.0
ROUNDS, LEAST_ROUNDS = 11, 5
"""What is looked for, and what is enough."""
PATIENCE_S = 300.0
BUSY_SHARE = 0.1
"""Of the machine's processor time, used by others."""
PAGES = (
    "/ui/traffic",
    "/ui/latency",
    "/ui/quality",
    "/ui/agents",
    "/ui/prompts",
    "/ui/prompts?prompt=support_answer",
    "/ui/traces",
    "/ui/traces?failed=yes&model=gpt-4.1",
    "/ui/live",
    "/ui/events?state=kept",
    "/ui/health",
)
AGAIN = (
    "INSERT INTO exchange(exchange_id, trace_id, ended_unix_us, record) SELECT exchange_id || :copy, trace_id || :copy,"
    " ended_unix_us - :back_us, CAST(json_set(CAST(record AS TEXT), '$.exchange_id', exchange_id || :copy,"
    " '$.trace_id', trace_id || :copy, '$.received_unix_us', (record ->> '$.received_unix_us') - :back_us) AS BLOB)"
    " FROM exchange WHERE seq <= :calls",
    "INSERT INTO outcome(uuid, exchange_id, trace_id, name, at_unix_us, body) SELECT uuid || :copy, '',"
    " trace_id || :copy, name, at_unix_us - :back_us, body FROM outcome WHERE seq <= :outcomes",
)
"""A story of fourteen hours, told again as that of the fourteen hours before."""


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Analysis]]:
    folder = tmp_path_factory.mktemp("million")
    seed(folder, calls=CALLS, end=datetime.now(UTC), length=LENGTH)
    (path,) = journal_files(folder)
    connection = apsw.Connection(str(path))
    connection.pragma("synchronous", 0)
    counts = {name: connection.execute(f"SELECT max(seq) FROM {name}").get for name in ("exchange", "outcome")}
    length_us = int(LENGTH.total_seconds() * 1_000_000)
    for copy in range(1, COPIES):
        told = {"copy": f"-{copy}", "back_us": copy * length_us}
        with connection:
            for statement, table in zip(AGAIN, ("exchange", "outcome"), strict=True):
                rows = {"exchange": "calls", "outcome": "outcomes"}[table]
                connection.execute(statement, told | {rows: counts[table]})
    connection.close()
    with open_analysis(folder) as analysis:
        yield folder, analysis


def test_pages_over_a_million_calls_take_under_a_second(million: tuple[Path, Analysis]) -> None:
    """Pages take turns, so that a slow spell of the machine meets all of them; a round in which others kept the machine
    busy says nothing.
    """
    folder, analysis = million
    site = Site(folder, analysis, utc_now)
    rounds: list[dict[str, float]] = []
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s and len(rounds) < ROUNDS:
        before = CpuTimes.now()
        took_s = {page: _opened_s(page, site, analysis) for page in PAGES}
        if not sum(shares_of_others(before, CpuTimes.now())) > BUSY_SHARE:
            rounds.append(took_s)
    if len(rounds) < LEAST_ROUNDS:
        pytest.skip("the machine has too much else to do to tell how long pages take")
    medians_s = {page: median(took_s[page] for took_s in rounds) for page in PAGES}
    for page, median_s in medians_s.items():
        print(f"{page:40} {median_s:.2f} s, the median of {len(rounds)}")
    assert {page: median_s for page, median_s in medians_s.items() if median_s >= LIMIT_S} == {}


def _opened_s(page: str, site: Site, analysis: Analysis) -> float:
    path, _, query = page.partition("?")
    began_s = time.perf_counter()
    analysis.refresh()
    assert site.answer(PageRequest(path=path, query=f"last=30d&{query}", reader=Reader(is_admin=True))).status == 200
    return time.perf_counter() - began_s
