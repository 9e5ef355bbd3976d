"""The report in a real browser: of a study with threads that mean harm, wide and narrow, light and dark."""

from collections.abc import Iterator

import pytest
from browser.chromium import SWITCHES, find_chromium
from conftest import CHECKOUT, CONTRACTS
from reports import NUMBER, SAFE, Told

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: run the tests by `make test`")

WIDE, NARROW = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
SCREENSHOTS = CHECKOUT / "data" / "build" / "report-screenshots"


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    found = find_chromium()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def strange() -> Iterator[list[str]]:
    """What pages did that they must not do; there must be nothing in the end."""
    seen: list[str] = []
    yield seen
    assert seen == []


@pytest.fixture
def page(browser: "sync_api.Browser", strange: list[str]) -> Iterator["sync_api.Page"]:
    context = browser.new_context(viewport=WIDE)
    yield watched(context.new_page(), strange)
    context.close()


def watched(page: "sync_api.Page", strange: list[str]) -> "sync_api.Page":
    page.set_default_timeout(10_000)
    page.on("console", lambda message: strange.append(f"{page.url}: {message.type}: {message.text}"))
    page.on("pageerror", lambda error: strange.append(f"{page.url}: {error}"))
    page.on("dialog", lambda dialog: (strange.append(f"{page.url}: dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: None if request.url.startswith("file://") else strange.append(request.url))
    return page


@pytest.fixture(scope="module")
def axe() -> str:
    path = CONTRACTS / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        pytest.skip(f"axe-core is not here: {path} (`make test` installs it by npm)")
    return path.read_text()


@pytest.mark.parametrize(("viewport", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
def test_no_page_asks_anybody_runs_what_strangers_wrote_is_too_wide_or_hard_to_use(
    browser: "sync_api.Browser", strange: list[str], harmful: Told, axe: str, viewport: dict[str, int], scheme: str
) -> None:
    context = browser.new_context(viewport=viewport, color_scheme=scheme)
    page = watched(context.new_page(), strange)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    pages = sorted(harmful.report.glob("*.html"))
    assert len(pages) > 3
    for path in pages:
        page.goto(path.as_uri())
        assert page.evaluate("window.ran") is None, path.name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path.name} scrolls sideways"
        assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)"), path.name
        page.evaluate(axe)
        faults = page.evaluate("axe.run({resultTypes: ['violations'], preload: false}).then((result) => result.violations)")
        serious = [
            (fault["id"], [node["target"] for node in fault["nodes"]][:3])
            for fault in faults
            if fault["impact"] in ("serious", "critical")
        ]
        assert serious == [], path.name
        page.screenshot(path=SCREENSHOTS / f"{path.stem}-{viewport['width']}-{scheme}.png")
    context.close()


def issues(page: "sync_api.Page") -> list[str]:
    return page.locator("#defects tbody tr:visible th").all_text_contents()


def test_defects_are_filtered_by_words_and_categories_and_the_count_is_told(page: "sync_api.Page", harmful: Told) -> None:
    page.goto((harmful.report / "defects.html").as_uri())
    defects = harmful.study.defects
    count = page.get_by_role("status")
    page.get_by_label("Stage").select_option("Training")
    of_stage = defects["stage"] == "training"
    assert count.text_content() == f"{of_stage.sum()} of {len(defects)} defects"
    page.get_by_label("Symptom").select_option("Crash")
    both = of_stage & (defects["symptom"] == "crash")
    assert 0 < both.sum() < of_stage.sum()
    assert len(issues(page)) == both.sum()
    page.get_by_role("button", name="Show all").click()
    assert count.text_content() == f"{len(defects)} defects"
    page.get_by_label("Text").fill("loss nan EPOCH")
    assert f"{SAFE}#{NUMBER}" in issues(page)
    page.get_by_label("Text").fill("nobody wrote this")
    assert issues(page) == []
    assert count.text_content() == f"0 of {len(defects)} defects"


def test_defects_are_sorted_by_a_columns_heading_and_the_other_way_by_the_keyboard(page: "sync_api.Page", harmful: Told) -> None:
    page.goto((harmful.report / "defects.html").as_uri())
    headings = page.locator("#defects thead th")
    heading = headings.filter(has_text="Symptom")
    button = heading.get_by_role("button")
    place = headings.all_text_contents().index("Symptom") + 1
    cells = page.locator(f"#defects tbody td:nth-child({place})")
    labels = sorted(harmful.study.taxonomy.facet("symptom").label(c) for c in harmful.study.defects["symptom"].dropna())
    button.click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert cells.all_text_contents() == labels
    button.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert cells.all_text_contents() == labels[::-1]
    headings.first.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") is None
    numbers = [int(issue.partition("#")[2].partition(" ")[0]) for issue in issues(page) if issue.startswith(f"{SAFE}#")]
    assert numbers == sorted(numbers)


def test_without_scripts_defects_are_a_plain_table_and_print_has_no_controls(
    browser: "sync_api.Browser", page: "sync_api.Page", harmful: Told
) -> None:
    address = (harmful.report / "defects.html").as_uri()
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(address)
    assert plain.locator("#defects tbody tr").count() == len(harmful.study.defects)
    assert not plain.locator("#filters").is_visible()
    assert plain.locator("#defects thead button").count() == 0
    context.close()
    page.goto(address)
    page.emulate_media(media="print")
    assert not page.locator("#filters").is_visible()
    assert not page.get_by_role("navigation").first.is_visible()
    assert page.locator("#defects tbody tr").last.is_visible()


def test_a_keyboard_reaches_the_content_at_once_and_every_table_that_scrolls(page: "sync_api.Page", harmful: Told) -> None:
    page.set_viewport_size(NARROW)
    page.goto((harmful.report / "defects.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    frame = page.get_by_role("region", name="Table of defects")
    frame.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "(frame) => frame.scrollLeft > 0", arg=frame.element_handle()
    )  # it scrolls smoothly, and so a little later
