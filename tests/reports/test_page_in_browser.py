"""In a real browser the page makes no errors, draws every plot in both themes, and its tables work."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
#: Runs before everything else on the page: every complaint is kept where the dump shows it.
LISTENER = """
window.complaints = [];
addEventListener("error", (event) => complaints.push(String(event.message || event.target?.src)), true);
addEventListener("unhandledrejection", (event) => complaints.push(String(event.reason)));
for (const kind of ["error", "warn"]) console[kind] = (...words) => complaints.push(words.join(" "));
"""
#: Works the page as a reader would, when all plots are drawn, and leaves what it saw in the page's end.
READER = """
addEventListener("load", async () => {
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const seen = { complaints };
  for (let turn = 0; turn < 200 && document.documentElement.dataset.ready !== "true"; turn++) await wait(50);
  const plots = [...document.querySelectorAll("[data-plot]")];
  const inkOf = (text) => text && getComputedStyle(text).fill;
  seen.plots = plots.map((node) => ({ name: node.dataset.plot, theme: node.dataset.drawn,
    marks: node.querySelectorAll(".main-svg path, .main-svg image").length,
    picture: node.querySelector("img")?.naturalWidth ?? 0,
    ink: inkOf(node.querySelector(".xtick text, .ytick text, .x2tick text, .annotation-text")) }));
  const style = getComputedStyle(document.body);
  seen.paper = style.backgroundColor; seen.ink = style.color;
  const block = document.querySelector("#comparison");
  if (block?.querySelector(".expand")) {
    const column = (name) => [...block.querySelectorAll(`tr.row > td[data-c="${name}"]`)]
      .filter((cell) => !cell.closest("tbody").hidden).map((cell) => cell.dataset.v ?? "");
    const head = (name) => block.querySelector(`thead [data-c="${name}"] button`);
    head("val_accuracy").click(); seen.falling = column("val_accuracy");
    head("val_accuracy").click(); seen.rising = column("val_accuracy");
    head("architecture").click(); seen.names = column("architecture");
    const box = block.querySelector("input[type=search]");
    const type = (text) => { box.value = text; box.dispatchEvent(new Event("input")); };
    type("published 512-512-512-512"); seen.filtered = column("architecture"); type("");
    const macs = block.querySelector('.columns input[value="macs"]');
    seen.hidden = block.querySelector('td[data-c="macs"]').hidden; macs.click();
    seen.shown = !block.querySelector('td[data-c="macs"]').hidden;
    const button = block.querySelector(".expand"); button.click();
    seen.seeds = button.closest("tbody").querySelectorAll("tr.seeds tbody tr").length;
  }
  seen.wide = document.documentElement.scrollWidth - innerWidth;
  const end = document.createElement("pre"); end.id = "seen"; end.textContent = JSON.stringify(seen);
  document.body.append(end);
});
"""


def look(page: Path, folder: Path, theme: str = "light", width: int = 1280) -> dict[str, Any]:
    """What a reader sees on this page; folder: for the browser's profile."""
    text = page.read_text(encoding="utf-8").replace("<head>", f"<head><script>{LISTENER}</script>", 1)
    visited = page.with_name(f"visited_{theme}_{width}.html")
    visited.write_text(text.replace("</body>", f"<script>{READER}</script></body>"), encoding="utf-8")
    command = [
        str(CHROMIUM),
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        *("--disable-component-update", "--disable-sync", "--disable-extensions", "--hide-scrollbars"),
        *(f"--user-data-dir={folder / theme}", f"--window-size={width},2000", "--virtual-time-budget=30000"),
        *("--dump-dom", f"{visited.as_uri()}?theme={theme}"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    finally:
        visited.unlink()
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    seen = json.loads(html.unescape(found[1]))
    assert isinstance(seen, dict)
    return seen


@pytest.fixture(scope="module")
def seen(written: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return look(written / "joint" / "index.html", tmp_path_factory.mktemp("profile"))


def test_nothing_complains(seen: dict[str, Any]) -> None:
    assert seen["complaints"] == []


def test_every_plot_is_drawn(seen: dict[str, Any]) -> None:
    assert len(seen["plots"]) >= 12
    assert [plot["name"] for plot in seen["plots"] if plot["theme"] != "light" or plot["marks"] < 3] == []


def test_sorting_turns_the_rows_round_and_keeps_missing_values_last(seen: dict[str, Any]) -> None:
    falling = [float(value) for value in seen["falling"]]
    assert falling == sorted(falling, reverse=True)
    assert [float(value) for value in seen["rising"]] == sorted(falling)
    assert sorted(seen["names"]) == sorted(seen["names"], key=str)
    assert seen["names"] != seen["rising"]


def test_filtering_leaves_the_rows_that_hold_every_word(seen: dict[str, Any]) -> None:
    assert len(seen["filtered"]) == 1
    assert seen["filtered"][0].startswith("published 6")


def test_columns_can_be_shown_and_seeds_unfolded(seen: dict[str, Any]) -> None:
    assert seen["hidden"]
    assert seen["shown"]
    assert seen["seeds"] == 4


def brightness(colour: str) -> float:
    """Mean of the channels of "rgb(r, g, b)"."""
    channels = [float(part) for part in re.findall(r"[\d.]+", colour)[:3]]
    return sum(channels) / 3


def test_the_dark_theme_turns_page_and_plots_and_stays_legible(written: Path, tmp_path: Path) -> None:
    dark = look(written / "joint" / "index.html", tmp_path, theme="dark")
    assert dark["complaints"] == []
    assert brightness(dark["paper"]) < 50 < 180 < brightness(dark["ink"])
    assert {plot["theme"] for plot in dark["plots"]} == {"dark"}
    written_in = [plot for plot in dark["plots"] if plot["ink"] is not None]  # a picture has no words
    assert len(written_in) >= 12
    assert [plot for plot in written_in if brightness(plot["ink"]) <= 120] == []


def test_a_phone_needs_no_sideways_scrolling_of_the_page(written: Path, tmp_path: Path) -> None:
    phone = look(written / "joint" / "index.html", tmp_path, width=500)  # the narrowest that Chromium allows
    assert phone["complaints"] == []
    assert phone["wide"] <= 0


@pytest.mark.parametrize("name", ["empty", "young", "grid"])
def test_pages_of_young_and_plain_studies_do_not_complain_either(
    name: str, written: Path, tmp_path: Path
) -> None:
    found = look(written / name / "index.html", tmp_path)
    assert found["complaints"] == []
    assert all(plot["theme"] == "light" for plot in found["plots"])


def test_a_report_that_was_passed_on_by_itself_shows_its_pictures(written: Path, tmp_path: Path) -> None:
    """The script of the figures lies beside the folder; all that complains is that it is not there."""
    alone = tmp_path / "joint"
    shutil.copytree(written / "joint", alone)
    found = look(alone / "index.html", tmp_path)
    assert len(found["plots"]) >= 12
    assert [plot["name"] for plot in found["plots"] if plot["picture"] < 100] == []
    assert all("plotly.min.js" in complaint for complaint in found["complaints"])
