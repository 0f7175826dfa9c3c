"""From samples of stacks to a list of functions."""

from tools.bench.profile import top

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
