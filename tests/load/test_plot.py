from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

from load.bench.controller import Results
from load.bench.figures import Figure
from load.bench.plot import PANELS, Axis, draw
from tests.load.bench_results import build_results

SVG = "{http://www.w3.org/2000/svg}"


def parse(results: Results) -> ET.Element:
    return ET.fromstring(draw(results, "Title & more", "sub < title"))


def test_the_picture_is_xml_with_one_dot_for_each_framework_and_case() -> None:
    root = parse(build_results())
    assert root.tag == f"{SVG}svg"
    assert len(root.findall(f".//{SVG}circle")) == len(PANELS) * 2 * 4
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert "Title & more" in texts
    assert texts.count("2.00 µs") == len(PANELS) * 2


def test_everything_lies_inside_the_picture() -> None:
    results = build_results(own_us=0.02)
    results.samples["falcon"] = {case: [9_000.0] * 3 for case in results.samples["falcon"]}
    root = parse(results)
    _, _, width, _ = map(float, root.attrib["viewBox"].split())
    for group in root.findall(f"{SVG}g"):
        left = float(group.attrib["transform"].removeprefix("translate(").split()[0])
        for dot in group.findall(f"{SVG}circle"):
            assert 0 < left + float(dot.attrib["cx"]) < width


def test_the_axis_is_logarithmic_over_whole_decades() -> None:
    axis = Axis([Figure(5, 2, 300)])
    positions = [axis.place(value) for value in (1, 10, 100, 1000)]
    gaps = [round(b - a, 6) for a, b in itertools.pairwise(positions)]
    assert len(set(gaps)) == 1
    assert [label for _, label in axis.list_ticks()] == ["1", "10", "100", "1000"]


def test_a_figure_of_nothing_does_not_break_the_axis() -> None:
    assert Axis([Figure(0, -0.1, 0)]).place(-1) == Axis([Figure(0, 0, 0)]).left
