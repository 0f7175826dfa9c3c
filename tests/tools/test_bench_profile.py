"""From samples of stacks to a list of functions."""

from tools.bench.profile import parts, top

SAMPLES = """\
MainThread;run (loop.py:3);feed (meter.py:10) 30
MainThread;run (loop.py:4);feed (meter.py:12) 30
MainThread;run (loop.py:3) 40
"""


def test_functions_are_listed_by_what_they_take_themselves() -> None:
    assert top(SAMPLES, 2)[1:] == [
        "   60.0%           60.0%  feed (meter.py)",
        "   40.0%          100.0%  run (loop.py)",
    ]


def test_parts_are_folders_of_ours_and_aiohttp() -> None:
    samples = """\
run (loop.py:1);start (aiohttp/web.py:3);put (proxy/adapters/journal/writer.py:9);dumps (json.py:1) 3
run (loop.py:1);start (aiohttp/web.py:3);price (proxy/domain/pricing.py:9) 4
run (loop.py:1);start (aiohttp/web.py:4) 2
run (loop.py:1) 1
"""
    assert parts(samples) == [
        "   40.0%  domain",
        "   30.0%  adapters/journal",
        "   20.0%  aiohttp",
        "   10.0%  event loop, and the rest",
    ]
