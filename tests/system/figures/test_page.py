"""The run's page carries everything itself and describes its pictures in words."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from system.figures.page import render_page, write_page
from system.figures.rows import FrocSeries, HeadlineRow, PageData


class Elements(HTMLParser):
    """Collects every element with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def page(report: PageData) -> str:
    return render_page(report)


def test_the_page_names_no_address_outside(page: str) -> None:
    assert "http" not in page.replace("http-equiv", "")
    elements = Elements()
    elements.feed(page)
    addresses = [
        value for _, attributes in elements.found for name, value in attributes.items() if name in ("src", "href")
    ]
    assert len(addresses) > 5
    assert all(re.match(r"#|data:image/(png|svg\+xml);base64,", str(address)) for address in addresses)


def test_every_picture_has_words_of_its_own(page: str) -> None:
    elements = Elements()
    elements.feed(page)
    words = [attributes.get("alt") for tag, attributes in elements.found if tag == "img"]
    assert len(words) == 8  # FROC, pools, calibration, losses, three of the gallery item, one mined image
    assert all(words)
    assert len(set(words)) == len(words)


def test_the_froc_figure_is_described_in_words(page: str) -> None:
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
        "FN → TP 1\N{NARROW NO-BREAK SPACE}234, FP → TN 5",
        "map 1\N{NARROW NO-BREAK SPACE}236, label 3",
        "<q>A mass in the left breast &lt;2&gt;.</q>",
        "61.25",
        "round 2, epoch 2, p0 0.90: 20, 34, 56",
        "0.90: 0.95 of 100",
    ],
)
def test_the_page_shows(page: str, shown: str) -> None:
    assert shown in page


def test_what_comes_from_outside_is_escaped(page: str) -> None:
    assert "test image &lt;1&gt;" in page
    assert "<1>" not in page
    assert "<2>" not in page


def test_a_page_of_the_headline_alone_leaves_the_rest_out(headline: list[HeadlineRow], tmp_path: Path) -> None:
    written = write_page(PageData(title="Short", headline=headline), tmp_path / "report" / "index.html")
    text = written.read_text(encoding="utf8")
    assert "round 1" in text
    assert "<img" not in text
    for heading in (
        "What the rounds learned from",
        "Report labels",
        "Pictures",
        "Calibration",
        "What the last round learned from",
        "Slowest stages",
    ):
        assert heading not in text


def test_without_lesions_a_dash_stands_for_the_sensitivity() -> None:
    row = HeadlineRow("supervised", {"1": float("nan")}, float("nan"), (float("nan"), float("nan")))
    text = render_page(
        PageData(title="No lesion", headline=[row], froc=[FrocSeries("supervised", [1.0], [float("nan")])])
    )
    assert "<td>–</td>" in text
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text)


def test_the_same_report_gives_the_same_bytes(report: PageData, page: str) -> None:
    assert render_page(report) == page


def test_the_page_says_which_labels_the_loop_gets_and_which_would_fit_better(report: PageData) -> None:
    note = "The loop gets the labels of reports.labels=models"
    assert f"<p>{note}.</p>" in render_page(replace(report, label_note=note))
    assert "<p></p>" not in render_page(replace(report, label_note=""))


def test_the_page_is_for_its_owner_only(report: PageData, tmp_path: Path) -> None:
    assert write_page(report, tmp_path / "index.html").stat().st_mode & 0o777 == 0o600
