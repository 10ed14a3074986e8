"""Draws charts as SVG, with nothing but the standard library.

    file.write_text(picture([
        line_chart("Time a cycle", "micro-nodes", "ms", [Line("all rules", [(100, 0.2, 0.19, 0.22), ...])], log_y=True),
    ]))

A point is (x, middle, low, high): a dot, and a bar from low to high. On logarithmic axes every number is above zero.
"""

import dataclasses
import html
import math

WIDTH, HEIGHT = 460, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 54, 48
COLOURS = ("#1f5fa8", "#c2571a", "#2e7d4f", "#7a4a9e")
INK, GRID = "#222", "#dde1e6"
FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"


@dataclasses.dataclass
class Line:
    name: str
    points: list  # of (x, middle, low, high)


def short(value):
    """A number with at most three digits: 1.5k, 20M, 0.05."""
    if value == 0:
        return "0"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def text(x, y, words, size=12, anchor="middle", weight="normal", extra=""):
    return (f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' font-weight='{weight}' "
            f"fill='{INK}' {FONT} {extra}>{html.escape(words)}</text>")


class Axis:
    """From numbers to places on the paper."""

    def __init__(self, values, begin, end, log):
        self.log = log
        low, high = min(values), max(values)
        if log:
            self.low, self.high = math.log10(low), math.log10(high)
            margin = max(0.05, 0.06 * (self.high - self.low))
            self.low, self.high = self.low - margin, self.high + margin
        else:
            self.low, self.high = min(0.0, low), (high or 1) * 1.08
        self.begin, self.end = begin, end

    def at(self, value):
        value = math.log10(value) if self.log else value
        return self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self):
        if not self.log:
            step = 10 ** math.floor(math.log10((self.high - self.low) / 4))
            step *= next(m for m in (1, 2, 5, 10) if (self.high - self.low) / (step * m) <= 6)
            return [n * step for n in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        decades = range(math.floor(self.low), math.ceil(self.high) + 1)
        digits = (1,) if self.high - self.low > 2.5 else (1, 3) if self.high - self.low > 1.2 else (1, 2, 5)
        ticks = [10.0**d * n for d in decades for n in digits]
        return [t for t in ticks if self.low <= math.log10(t) <= self.high]


def line_chart(title, x_label, y_label, lines, log_x=True, log_y=False):
    """Ticks of the x axis are the points."""
    points = [point for line in lines for point in line.points]
    x = Axis([p[0] for p in points], LEFT, WIDTH - RIGHT, log_x)
    y = Axis([v for p in points for v in p[1:]], HEIGHT - BOTTOM, TOP, log_y)
    parts = [text(LEFT, 20, title, 13, "start", "bold")]
    for tick in y.ticks():
        at = y.at(tick)
        parts.append(f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{at:.1f}' y2='{at:.1f}' stroke='{GRID}'/>")
        parts.append(text(LEFT - 6, at + 4, short(tick), 11, "end"))
    for tick in sorted({p[0] for p in points}):
        at = x.at(tick)
        parts.append(f"<line x1='{at:.1f}' x2='{at:.1f}' y1='{TOP}' y2='{HEIGHT - BOTTOM}' stroke='{GRID}'/>")
        parts.append(text(at, HEIGHT - BOTTOM + 16, short(tick), 11))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_label))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(text(14, middle, y_label, extra=f"transform='rotate(-90 14 {middle})'"))
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x.at(p[0]):.1f},{y.at(p[1]):.1f}" for p in line.points)
        parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='1.8'/>")
        for at, mid, low, high in line.points:
            place = f"{x.at(at):.1f}"
            parts.append(f"<line x1='{place}' x2='{place}' y1='{y.at(low):.1f}' y2='{y.at(high):.1f}' "
                         f"stroke='{colour}' stroke-width='4' stroke-opacity='0.35'/>")
            parts.append(f"<circle cx='{place}' cy='{y.at(mid):.1f}' r='3' fill='{colour}'/>")
        if len(lines) > 1:
            place = LEFT + 90 * number
            parts.append(f"<rect x='{place}' y='{TOP - 24}' width='10' height='10' fill='{colour}'/>")
            parts.append(text(place + 16, TOP - 15, line.name, 11, "start"))
    return WIDTH, HEIGHT, "".join(parts)


def bar_chart(title, unit, rows, names=("",)):
    """Rows of (label, [value, ...]): as many values as there are names, each a bar from zero."""
    longest = max(value for _, values in rows for value in values)
    left, wide, thick = 190, 700, 15
    parts = [text(12, 20, title, 13, "start", "bold")]
    at = 36
    if len(names) > 1:
        place = left
        for number, name in enumerate(names):
            parts.append(f"<rect x='{place}' y='{at}' width='10' height='10' fill='{COLOURS[number]}'/>")
            parts.append(text(place + 16, at + 9, name, 11, "start"))
            place += 32 + 8 * len(name)
        at += 22
    for label, values in rows:
        parts.append(text(left - 8, at + len(values) * thick / 2 + 4, label, 12, "end"))
        for number, value in enumerate(values):
            length = value / longest * (wide - left - 90)
            parts.append(f"<rect x='{left}' y='{at + 1}' width='{max(1, length):.1f}' height='{thick - 2}' "
                         f"fill='{COLOURS[number]}'/>")
            parts.append(text(left + length + 6, at + 12, f"{short(value)} {unit}", 11, "start"))
            at += thick
        at += 7
    return wide, at + 6, "".join(parts)


def picture(charts):
    """Charts side by side, as one SVG file."""
    width, height = sum(chart[0] for chart in charts), max(chart[1] for chart in charts)
    parts, at = [], 0
    for wide, _, inner in charts:
        parts.append(f"<g transform='translate({at} 0)'>{inner}</g>")
        at += wide
    return (f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}'>"
            f"<rect width='{width}' height='{height}' fill='white'/>{''.join(parts)}</svg>\n")
