"""A drawing of several plots as SVG: one for each axis that was walked, a line for each gateway."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from xml.sax.saxutils import escape

COLOURS = ("#7a7a7a", "#2f74c0", "#d9480f", "#2b8a3e")
COLUMNS, WIDTH, HEIGHT = 3, 300, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 34, 34
LEGEND = 26


@dataclass(frozen=True, slots=True)
class Plot:
    """`points` by gateway: places on the axis, each with its figures, of which the first is drawn."""

    title: str
    points: dict[str, list[tuple[int, dict[str, float]]]]


@dataclass(frozen=True, slots=True)
class _Scale:
    """Both axes are logarithmic: from one power of ten to another. A place of 0 is drawn as 1."""

    low: int
    high: int
    start: float
    end: float

    @staticmethod
    def over(values: Sequence[float], start: float, end: float) -> "_Scale":
        exponents = [log10(max(value, 1)) for value in values]
        low = floor(min(exponents))
        return _Scale(low, max(low + 1, ceil(max(exponents))), start, end)

    def at(self, value: float) -> float:
        share = (log10(max(value, 1)) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[int]:
        return [10**exponent for exponent in range(self.low, self.high + 1)]


def draw(plots: Sequence[Plot]) -> str:
    """The whole drawing."""
    rows = ceil(len(plots) / COLUMNS)
    width, height = COLUMNS * WIDTH, rows * HEIGHT + LEGEND
    names = list(dict.fromkeys(name for plot in plots for name in plot.points))
    colours = dict(zip(names, COLOURS, strict=False))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="10" fill="#333">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for number, (name, colour) in enumerate(colours.items()):
        x = LEFT + 150 * number
        parts.append(f'<rect x="{x}" y="10" width="14" height="4" fill="{colour}"/>')
        parts.append(f'<text x="{x + 20}" y="16">{escape(name)}</text>')
    for number, plot in enumerate(plots):
        across, down = number % COLUMNS * WIDTH, number // COLUMNS * HEIGHT + LEGEND
        parts.append(f'<g transform="translate({across} {down})">{_one(plot, colours)}</g>')
    return "\n".join([*parts, "</svg>\n"])


def _one(plot: Plot, colours: Mapping[str, str]) -> str:
    lines = {
        name: [(at, next(iter(figures.values()))) for at, figures in points if figures]
        for name, points in plot.points.items()
    }
    drawn = [point for line in lines.values() for point in line]
    if not drawn:
        return ""
    across = _Scale.over([at for at, _ in drawn], LEFT, WIDTH - RIGHT)
    up = _Scale.over([value for _, value in drawn], HEIGHT - BOTTOM, TOP)
    figure = next(name for points in plot.points.values() for _, figures in points for name in figures)
    parts = [f'<text x="{LEFT}" y="{TOP - 12}" font-weight="bold">{escape(figure)}, by {escape(plot.title)}</text>']
    for tick in across.ticks():
        x = across.at(tick)
        parts.append(f'<path d="M{x:.0f} {TOP}V{HEIGHT - BOTTOM}" stroke="#e5e5e5"/>')
        parts.append(f'<text x="{x:.0f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{_short(tick)}</text>')
    for tick in up.ticks():
        y = up.at(tick)
        parts.append(f'<path d="M{LEFT} {y:.0f}H{WIDTH - RIGHT}" stroke="#e5e5e5"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y + 3:.0f}" text-anchor="end">{_short(tick)}</text>')
    for name, line in lines.items():
        places = [(across.at(at), up.at(value)) for at, value in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colours[name]}"/>' for x, y in places]
    return "".join(parts)


def _short(number: int) -> str:
    for size, sign in ((10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number // size}{sign}"
    return str(number)
