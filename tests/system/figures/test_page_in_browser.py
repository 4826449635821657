"""The run's page as a browser takes it: nothing on its console, no request to another host; phone, print, dark."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from system.figures.han import embedded_font
from system.figures.page import write_page
from system.figures.rows import PageData

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
)
CONSOLE = re.compile(r":CONSOLE[:(]\d+\)?\] \"(.*)\"")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"),
]


@dataclass(frozen=True)
class Visit:
    """What a browser did with a page."""

    console: list[str]
    requested: list[str]  # addresses that the page itself requested, without its own
    picture: Path


def visit(page: Path, folder: Path) -> Visit:
    """Open a page in headless Chromium."""
    log, picture = folder / "net.json", folder / "page.png"
    options = [
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={log}",
        f"--screenshot={picture}",
        "--window-size=1100,2400",
    ]
    command = [str(CHROMIUM), *QUIET, *options, "--enable-logging=stderr", page.resolve().as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return Visit(
        CONSOLE.findall(done.stderr),
        sorted(_requested(json.loads(log.read_text())) - {page.resolve().as_uri()}),
        picture,
    )


def _requested(log: dict[str, list[dict[str, dict[str, str]]]]) -> set[str]:
    """Return the addresses whose requests began in a document; the browser's own have no origin."""
    facts = [event.get("params", {}) for event in log["events"]]
    return {
        each["url"] for each in facts if "url" in each and each.get("initiator", "not an origin") != "not an origin"
    }


def test_the_page_writes_nothing_to_the_console_and_requests_nothing(report: PageData, tmp_path: Path) -> None:
    found = visit(write_page(report, tmp_path / "index.html"), tmp_path)
    assert (found.console, found.requested) == ([], [])
    pixels = np.asarray(Image.open(found.picture).convert("L"))
    assert pixels.shape[1] == 1100
    assert (pixels < 128).mean() > 0.01, "the page is blank"


@pytest.mark.parametrize(
    "trouble",
    [
        "<script>console.error('broken')</script>",
        "<img src='http://elsewhere.invalid/a.png'>",
        "<script>nonsense(</script>",
    ],
)
def test_a_page_that_writes_to_the_console_or_requests_something_is_noticed(
    report: PageData, tmp_path: Path, trouble: str
) -> None:
    page = write_page(report, tmp_path / "index.html")
    text = re.sub(
        r"<meta http-equiv=.*?>", "", page.read_text(encoding="utf8")
    )  # the policy would keep both from happening
    page.write_text(text.replace("</main>", f"{trouble}</main>"), encoding="utf8")
    found = visit(page, tmp_path)
    assert found.console or found.requested


def test_the_pages_own_policy_keeps_requests_in(report: PageData, tmp_path: Path) -> None:
    page = write_page(report, tmp_path / "index.html")
    page.write_text(
        page.read_text(encoding="utf8").replace("</main>", "<img src='http://elsewhere.invalid/a.png'></main>"),
        encoding="utf8",
    )
    found = visit(page, tmp_path)
    assert found.requested == []
    assert any("Content Security Policy" in line for line in found.console)


def measured(page: PageData, folder: Path, *, width_px: int, expression: str, style: str = "") -> dict[str, float]:
    """Return what an expression of a script is worth in the page, shown in a frame of this width.

    style: what `@media print` is replaced by, so that a screen shows the page as it is printed
    """
    text = re.sub(r"<meta http-equiv=.*?>", "", write_page(page, folder / "index.html").read_text(encoding="utf8"))
    if style:
        text = text.replace("@media print", style)
    (folder / "inside.html").write_text(
        text.replace("</body>", f"<script>parent.postMessage(JSON.stringify({expression}), '*')</script></body>"),
        encoding="utf8",
    )
    (folder / "frame.html").write_text(
        "<body><script>onmessage = event => document.body.dataset.found = event.data</script>"
        f"<iframe src='inside.html' width='{width_px}' height='800' style='border: 0'></iframe></body>",
        encoding="utf8",
    )
    command = [str(CHROMIUM), *QUIET, f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=10000"]
    command += ["--window-size=1300,900", "--dump-dom", (folder / "frame.html").resolve().as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    found = re.search(r'data-found="([^"]*)"', done.stdout)
    assert found is not None
    return json.loads(unescape(found[1]))


RIGHT_OF = "document.querySelector('#sensitivity ~ .scroll tbody tr:last-child {cell}').getBoundingClientRect().right"


def test_on_a_phone_the_mean_and_its_interval_show_and_the_page_does_not_scroll_sideways(
    report: PageData, tmp_path: Path
) -> None:
    chart = "document.querySelector('img.chart').getBoundingClientRect().width"
    mean, interval = (RIGHT_OF.format(cell=f"td:nth-of-type({place})") for place in (1, 2))
    expression = f"{{page: document.documentElement.scrollWidth, mean: {mean}, interval: {interval}, chart: {chart}}}"
    found = measured(report, tmp_path, width_px=390, expression=expression)
    assert found["page"] <= 390
    assert found["mean"] < found["interval"] <= 390
    assert found["chart"] > 500  # so that its letters can be read; it scrolls in its own box


def test_in_print_closed_parts_are_open_and_headings_stay_with_their_tables(report: PageData, tmp_path: Path) -> None:
    expression = """{
        config: Number(document.querySelector('#settings ~ details pre').checkVisibility()),
        nav: document.querySelector('nav').getBoundingClientRect().height,
        loose: [...document.querySelectorAll('h2, h3, h2 ~ p.soft, summary, p:has(+ .scroll)')].filter(
            each => getComputedStyle(each).breakAfter != 'avoid').length,
        cut: [...document.querySelectorAll('tr, figure')].filter(
            each => getComputedStyle(each).breakInside != 'avoid').length,
    }"""
    with_note = replace(report, label_note="Rules would fit better")  # a paragraph that is not small print
    printed = measured(with_note, tmp_path, width_px=800, expression=expression, style="@media all")
    assert printed == {"config": 1, "nav": 0, "loose": 0, "cut": 0}
    assert measured(report, tmp_path, width_px=800, expression=expression)["config"] == 0  # on a screen it is closed


def test_the_page_turns_dark_by_choice_and_not_in_print(report: PageData, tmp_path: Path) -> None:
    expression = """(() => {
        const ground = () => Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]);
        const light = ground();
        document.getElementById('dark').checked = true;
        return {light: light, dark: ground()};
    })()"""
    found = measured(report, tmp_path, width_px=800, expression=expression)
    assert (found["light"], found["dark"] < 40) == (255, True)
    printed = measured(report, tmp_path, width_px=800, expression=expression, style="@media all")
    assert printed == {"light": 255, "dark": 255}


def test_chinese_is_shown_by_the_font_that_the_page_carries(report: PageData, tmp_path: Path) -> None:
    item = replace(report.mined[0].items[0], sentence="左乳外上象限见一肿块。")
    chinese = replace(report, mined=[replace(report.mined[0], items=[item])])
    if not embedded_font("左"):
        pytest.skip("no font to cut is installed here: pip install pylopdf-fonts-zh-cn")
    expression = "{loaded: [...document.fonts].filter(font => font.family.includes('Han of this page')).length}"
    assert measured(chinese, tmp_path, width_px=800, expression=expression) == {"loaded": 1}
    assert measured(report, tmp_path, width_px=800, expression=expression) == {"loaded": 0}
    assert visit(write_page(chinese, tmp_path / "index.html"), tmp_path).console == []  # the policy lets the font in
