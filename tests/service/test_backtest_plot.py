import xml.etree.ElementTree as ET

from gateway.service.backtest import Result
from gateway.service.backtest_plot import svg


def points(text: str) -> list[list[tuple[float, float]]]:
    root = ET.fromstring(text)
    lines = root.iter("{http://www.w3.org/2000/svg}polyline")
    return [
        [(float(x), float(y)) for x, y in (one.split(",") for one in line.attrib["points"].split())] for line in lines
    ]


def test_each_attacker_has_a_line_that_never_falls_as_more_is_held() -> None:
    tested = [Result(None, number, number / 10, 0, "") for number in range(200)]
    tested += [Result("<bot>", number, 15 + number / 20, 0b1, "") for number in range(50)]
    tested += [Result("hijack", number, number / 3, 0, "") for number in range(50)]

    text = svg(tested, rules_from=0)

    assert "&lt;bot&gt;" in text
    lines = points(text)
    assert len(lines) == 2
    for line in lines:
        assert [x for x, _ in line] == sorted(x for x, _ in line)
        assert [y for _, y in line] == sorted((y for _, y in line), reverse=True)


def test_without_attacks_the_picture_is_empty_and_whole() -> None:
    assert points(svg([Result(None, 1, 0.0, 0, "")], rules_from=0)) == []
    assert points(svg([], rules_from=0)) == []
