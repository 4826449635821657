"""The run's page carries everything itself and says in words what it shows."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from system.figures import FrocSeries, GalleryItem, HeadlineRow, LabelRow, PoolRow, PurityRow, RunReport, write_page
from system.figures.page import render_page


class Elements(HTMLParser):
    """Collects every element with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def headline() -> list[HeadlineRow]:
    sensitivity = {"0.1": 0.25, "1": 0.5}
    baseline = HeadlineRow("supervised", sensitivity, 0.375, (0.3, 0.45))
    return [baseline, HeadlineRow("round 1", {"0.1": 0.375, "1": 0.625}, 0.5, (0.4, 0.6), 0.125, (-0.01, 0.2))]


@pytest.fixture(scope="module")
def report() -> RunReport:
    image = np.linspace(0, 60000, 64 * 48).reshape(64, 48).astype(np.uint16)
    truth = np.zeros((64, 48), dtype=bool)
    truth[10:30, 10:30] = True
    item = GalleryItem(image, truth, np.full((16, 12), 0.25), np.full((16, 12), 0.75), "test image <1>")
    return RunReport(
        title="Run demo",
        headline=headline(),
        rules=["A lesion is a component."],
        froc=[FrocSeries("supervised", [0.0, 0.8], [0.25, 0.5]), FrocSeries("round 1", [0.05, 1.2], [0.4, 0.625])],
        pools=[PoolRow(1, 0.95, tp=12, fp=34, fn=56, tn=7890, unused=11)],
        purity=[PurityRow(1, 0.95, "TP", 12, 0.917)],
        thresholds={"round 1, mask": 0.321},
        labels=[LabelRow("left", 400, 0.9729, 0.9873, 0.9872)],
        epochs=[{"stage": "stage 1", "epoch": epoch, "loss": 1 / (epoch + 1)} for epoch in range(3)],
        galleries={"True positives": [item]},
        config="p0:\n  start: 0.95\n",
        facts={"code digest": "ab12"},
    )


@pytest.fixture(scope="module")
def page(report: RunReport) -> str:
    return render_page(report)


def test_the_page_names_no_address_outside(page: str):
    assert "http" not in page.replace("http-equiv", "")
    elements = Elements()
    elements.feed(page)
    addresses = [value for _, attributes in elements.found for name, value in attributes.items() if name in ("src", "href")]
    assert len(addresses) > 5
    assert all(re.match(r"#|data:image/(png|svg\+xml);base64,", str(address)) for address in addresses)


def test_every_picture_has_words_of_its_own(page: str):
    elements = Elements()
    elements.feed(page)
    words = [attributes.get("alt") for tag, attributes in elements.found if tag == "img"]
    assert len(words) == 5  # FROC, losses, three of the gallery item
    assert all(words)
    assert len(set(words)) == len(words)


def test_the_froc_figure_is_told_in_words(page: str):
    assert "supervised: mean 0.375; round 1: mean 0.500" in page
    assert "supervised at 0.80; round 1 at 1.20" in page


@pytest.mark.parametrize(
    "shown",
    [
        "<td>0.250</td>",
        "0.300 to 0.450",
        "+0.125",
        "−0.010 to +0.200",
        "7\N{NARROW NO-BREAK SPACE}890",
        "0.917",
        "0.321",
        "0.973",
        "start: 0.95",
        "ab12",
    ],
)
def test_the_page_shows(page: str, shown: str):
    assert shown in page


def test_what_comes_from_outside_is_escaped(page: str):
    assert "test image &lt;1&gt;" in page
    assert "<1>" not in page


def test_a_page_of_the_headline_alone_leaves_the_rest_out(tmp_path: Path):
    written = write_page(RunReport(title="Short", headline=headline()), tmp_path / "report" / "index.html")
    text = written.read_text(encoding="utf8")
    assert "round 1" in text
    assert "<img" not in text
    for heading in ("What the rounds learned from", "Report labels", "Pictures"):
        assert heading not in text


def test_without_lesions_a_dash_stands_for_the_sensitivity():
    row = HeadlineRow("supervised", {"1": float("nan")}, float("nan"), (float("nan"), float("nan")))
    text = render_page(RunReport(title="No lesion", headline=[row], froc=[FrocSeries("supervised", [1.0], [float("nan")])]))
    assert "<td>–</td>" in text
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text)


def test_the_same_report_gives_the_same_bytes(report: RunReport, page: str):
    assert render_page(report) == page
