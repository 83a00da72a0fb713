"""The picture of a run: dots on a logarithmic axis, one panel a case, written as plain SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from load.bench.cases import LARGE, SMALL
from load.bench.controller import BARE, FRAMEWORKS, OWN, Results
from load.bench.figures import Figure, summarise

PANELS: Final = (
    ((f"text, {SMALL}", "text, 3 routes"), (f"text, {LARGE} last", "text, last of 1,000 routes")),
    ((f"json, {SMALL}", "JSON, 3 routes"), (f"json, {LARGE} last", "JSON, last of 1,000 routes")),
    (
        (f"params, {SMALL}", "two path parameters, 3 routes"),
        (f"params, {LARGE} last", "two path parameters, last of 1,000 routes"),
    ),
    (
        (f"miss, {LARGE}", "no such path, 1,000 routes"),
        (f"wrong method, {LARGE}", "wrong method, 1,000 routes"),
    ),
)
COLUMN_WIDTH: Final = 440
ROW_HEIGHT: Final = 18
PANEL_TOP: Final = 56
MARGIN: Final = 24
HEADER: Final = 74
LABEL_WIDTH: Final = 84
VALUE_WIDTH: Final = 62
COLORS: Final = {OWN: "#c2410c", BARE: "#6b7280"}
PEER_COLOR: Final = "#2563eb"
STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#1f2937}.t{font-weight:600;font-size:13px}"
    ".h{font-weight:700;font-size:17px}.s{fill:#6b7280;font-size:11px}.r{text-anchor:end}"
    ".m{text-anchor:middle}line{stroke:#e5e7eb}"
)


class Axis:
    """A logarithmic axis in whole decades, from µs to pixels inside a panel."""

    __slots__ = ("first", "last", "left", "width")

    def __init__(self, figures: Sequence[Figure]) -> None:
        positive = [max(value, 0.01) for f in figures for value in (f.low, f.high)]
        self.first = math.floor(math.log10(min(positive)))
        self.last = max(math.ceil(math.log10(max(positive))), self.first + 1)
        self.left = LABEL_WIDTH
        self.width = COLUMN_WIDTH - LABEL_WIDTH - VALUE_WIDTH - MARGIN

    def place(self, microseconds: float) -> float:
        """Return the horizontal position of a value."""
        decades = math.log10(max(microseconds, 10.0**self.first)) - self.first
        return self.left + decades / (self.last - self.first) * self.width

    def list_ticks(self) -> Iterator[tuple[float, str]]:
        """Yield position and label of each power of ten."""
        for exponent in range(self.first, self.last + 1):
            yield self.place(10.0**exponent), f"{10.0**exponent:g}"


def draw(results: Results, title: str, subtitle: str) -> str:
    """Return the SVG document of a run."""
    names = [name for name in FRAMEWORKS if name in results.samples]
    figures = {
        (name, case): summarise(results.samples[name][case])
        for name in names
        for row in PANELS
        for case, _ in row
    }
    axis = Axis(list(figures.values()))
    panel_height = PANEL_TOP + len(names) * ROW_HEIGHT + MARGIN
    width = MARGIN + 2 * COLUMN_WIDTH
    height = HEADER + len(PANELS) * panel_height
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text class="h" x="{MARGIN}" y="28">{escape(title)}</text>',
        f'<text class="s" x="{MARGIN}" y="46">{escape(subtitle)}</text>',
    ]
    for row, cases in enumerate(PANELS):
        for column, (case, caption) in enumerate(cases):
            x, y = MARGIN + column * COLUMN_WIDTH, HEADER + row * panel_height
            parts.append(f'<g transform="translate({x} {y})">')
            parts += _draw_panel(caption, {name: figures[name, case] for name in names}, axis)
            parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _draw_panel(caption: str, figures: dict[str, Figure], axis: Axis) -> Iterator[str]:
    bottom = PANEL_TOP + len(figures) * ROW_HEIGHT - ROW_HEIGHT / 2
    yield f'<text class="t" x="0" y="14">{escape(caption)}</text>'
    for x, label in axis.list_ticks():
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{PANEL_TOP - 14}" y2="{bottom:.1f}"/>'
        yield f'<text class="s m" x="{x:.1f}" y="{PANEL_TOP - 18}">{label}</text>'
    for row, (name, figure) in enumerate(figures.items()):
        y = PANEL_TOP + row * ROW_HEIGHT
        color = COLORS.get(name, PEER_COLOR)
        weight = ' font-weight="700"' if name == OWN else ""
        low, middle, high = (axis.place(v) for v in (figure.low, figure.median, figure.high))
        yield f'<text x="0" y="{y + 4}"{weight}>{escape(name)}</text>'
        yield (
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" '
            f'style="stroke:{color};stroke-width:3;opacity:.45"/>'
        )
        yield f'<circle cx="{middle:.1f}" cy="{y}" r="4.5" fill="{color}"/>'
        value = f"{figure.median:,.0f}" if figure.median >= 100 else f"{figure.median:.2f}"
        x = axis.left + axis.width + VALUE_WIDTH
        yield f'<text class="r" x="{x}" y="{y + 4}"{weight}>{value} µs</text>'
