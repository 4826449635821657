"""The run's page carries everything itself and describes its pictures in words."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from system.figures.page import render_page, write_page
from system.figures.rows import FrocSeries, HeadlineRow, Live, PageData


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
    assert len(words) == 9  # FROC, pools, calibration, losses, four of the gallery item, one mined image
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
        "Run demo/run",
        "One round moved mean sensitivity from 0.375 to 0.500.",
        "Research software",
        '<li>Calibration made the models&#39; probabilities worse. <a href="#labels">',
        "2026-11-26 04:26 UTC",
        "a processor, 2 cores, 8 GiB; no GPU",
        "<td>1\N{NARROW NO-BREAK SPACE}200</td><td>4\N{NARROW NO-BREAK SPACE}800</td><td>61</td>",
        "<td>9</td><td>36</td><td>–</td>",
        '<th scope="row">density: c</th><td>0.345</td><td class="main">0.456</td>',
        "Lesion of 14 mm: no candidate touches it. <code>0123abcd</code>",
        '<span class="flag">rules read no mass here, the label is 0.97</span><br><code>4567cdef</code>',
        "supervised: up to 0.25",
        "round 1: up to 0.75",
        "<span>0.75</span>",  # of the colour bar
        "0.917 of 12",
        "The surest 1 of 12.",
        "margin-left: 75.0%; width: 25.0%",
        "from the first start to the last end: 3 min",
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
        "What it misses",
        "Parts of the test",
        "Data and run",
        "Calibration",
        "Images that the last round learned from",
        "Stages in time",
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


def live(*, at_work: bool) -> Live:
    return Live(at_work, "round 1: training, epoch 3 of at most 15", "at most 12 min left", "2026-11-26 05:00:00 UTC")


def test_a_page_of_a_run_at_work_says_where_it_is_and_loads_itself_anew(report: PageData) -> None:
    text = render_page(replace(report, live=live(at_work=True)))
    assert "At work: round 1: training, epoch 3 of at most 15." in text
    assert "At most 12 min left." in text
    assert '<meta http-equiv="refresh" content="15">' in text


@pytest.mark.parametrize("state", [None, live(at_work=False)])
def test_a_page_of_a_run_that_is_over_or_stopped_stays_as_it_is(report: PageData, state: Live | None) -> None:
    text = render_page(replace(report, live=state))
    assert 'http-equiv="refresh"' not in text
    assert "At work" not in text
    assert ("Stopped before: round 1: training" in text) is (state is not None)


def test_the_contents_name_the_parts_that_are_there_and_no_other(page: str, headline: list[HeadlineRow]) -> None:
    for text in (page, render_page(PageData(title="Short", headline=headline))):
        elements = Elements()
        elements.feed(text)
        named = {str(attributes.get("href"))[1:] for tag, attributes in elements.found if tag == "a"}
        there = {str(attributes["id"]) for _, attributes in elements.found if "id" in attributes}
        assert named <= there
    assert named == {"sensitivity", "settings"}


def test_chinese_brings_its_font_along_or_says_that_there_is_none(
    report: PageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = replace(report.mined[0].items[0], sentence="左乳外上象限见一肿块。")
    chinese = replace(report, mined=[replace(report.mined[0], items=[item])])
    monkeypatch.setattr(
        "system.figures.page.embedded_font", lambda characters: f"data:font/woff;base64,{len(characters)}"
    )
    assert "src: url(data:font/woff;base64,11)" in render_page(chinese)
    monkeypatch.setattr("system.figures.page.embedded_font", lambda _: "")
    assert "font of your machine" in render_page(chinese)
    assert "font of your machine" not in render_page(report)


def test_every_table_lies_in_a_box_that_scrolls_by_itself(page: str) -> None:
    assert page.count("<table") == page.count('class="scroll') - page.count('class="chart"')
    for before in re.split(r"<table", page)[:-1]:
        assert re.search(r'<div class="scroll[^>]*>\s*$', before)


def test_the_mean_and_its_interval_come_before_the_operating_points(page: str) -> None:
    heads = re.findall(r"<th scope=.col.[^>]*>([^<]*)</th>", page[page.index('id="sensitivity"') :])
    assert heads[:6] == ["system", "mean", "95 % interval", "vs supervised", "95 %, paired", "0.1 FPPI"]
