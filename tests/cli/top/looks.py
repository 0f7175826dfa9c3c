"""Two looks at one proxy, twenty seconds apart, as it would tell of itself in the text format of Prometheus."""

from pathlib import Path

from proxy.cli.top.scrape import Window, parse

FOLDER = Path(__file__).parents[2] / "golden" / "top"
BEFORE, AFTER, FRAME = ((FOLDER / name).read_text() for name in ("before.prom", "after.prom", "frame.txt"))


def golden() -> Window:
    """From the one to the other."""
    return Window(before=parse(BEFORE, 0.0), after=parse(AFTER, 20.0))
