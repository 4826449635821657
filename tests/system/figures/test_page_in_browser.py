"""The run's page as a browser takes it: nothing on its console, no request to another host."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
