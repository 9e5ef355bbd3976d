"""Issues are labelled in a real Label Studio, in a real browser, and the export is read back."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from browser.chromium import SWITCHES, find_chromium
from browser.label_studio import EMAIL, LabelStudio
from conftest import CHECKOUT

from pipeline.annotate.annotation import Annotation, Task, Worksheet
from pipeline.annotate.label_studio import interface, read_export, tasks
from pipeline.facts import IssueReference
from pipeline.taxonomy import Taxonomy, read_taxonomy
from pipeline.thread import Comment, Thread

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: run the tests by `make test`")

ENVIRONMENT = Path(os.environ.get("REDEFECT_LABEL_STUDIO", CHECKOUT / "data" / "build" / "peers" / "label-studio"))
SCREENSHOTS = CHECKOUT / "data" / "build" / "label-studio"

HOSTILE = (
    '<img src=x onerror="window.ran = 1; alert(1)"> <script>window.ran = 2; alert(2)</script> <b>bold</b>\n'
    "[click](javascript:alert(3)) <a href='javascript:alert(4)'>click</a> {{7*7}} ${7*7} $title &lt;i&gt; </textarea>\n"
    + "x"
    * 400
)
DEFECT = {
    "framework": "pytorch", "project-type": "user-fork", "reporter": "adaptor", "stage": "training",
    "manifestation": "evolutionary", "symptom": "numerical-instability", "defect-type": "assignment-initialization",
    "root-cause": "loss-function", "same-code": "no", "same-data": "not-mentioned",
}  # fmt: skip
OTHER = DEFECT | {"framework": "other", "stage": "data-pipeline", "root-cause": "gpu-usage", "symptom": "crash"}
NOTE = "Two causes,\none of them <b>elsewhere</b> \N{GREEK SMALL LETTER ALPHA}."


def issue(number: int) -> IssueReference:
    return IssueReference("acme/anvil", number)


def thread(number: int, title: str, *bodies: str) -> Thread:
    at = datetime(2020, 1, 31, 12, tzinfo=UTC)
    comments = tuple(Comment(author=f"person-{i + 2}", created_at=at, body=body) for i, body in enumerate(bodies[1:]))
    return Thread(
        repository="acme/anvil", number=number, title=title, body=bodies[0], state="closed", author="person-1", created_at=at,
        fix="acme/anvil#99", labels=("bug", "help wanted"), comments=comments,
    )  # fmt: skip


CODE = "The loss becomes NaN after a hundred steps.\n\n```python\nfor batch in loader:\n    loss = model(batch)\n```\n" * 4
BEFORE = Annotation(
    issue(4), "ada", "pilot", {"gate": "defect"}, (DEFECT, OTHER, DEFECT), discuss=True, slow=True, translated="French", note=NOTE
)  # fmt: skip
SUGGESTED = {"gate": ("defect", 0.9), "stage": ("training", 0.75), "root-cause": ("gpu-usage", 0.5)}


@pytest.fixture(scope="module")
def chromium() -> str:
    return find_chromium()


@pytest.fixture(scope="module")
def label_studio(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    if not (ENVIRONMENT / "bin" / "label-studio").exists():
        pytest.skip(f"Label Studio is not installed: {ENVIRONMENT} (run `make test-label-studio`, or set REDEFECT_LABEL_STUDIO)")
    with LabelStudio(ENVIRONMENT, tmp_path_factory.mktemp("label-studio")) as running:
        yield running


@pytest.fixture(scope="module")
def page(chromium: str, label_studio: LabelStudio) -> Iterator["sync_api.Page"]:
    """A page on which the annotator is logged in; whatever it asks of anybody but Label Studio fails the tests, as dialogs do."""
    strange: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(20_000)
        page.on("dialog", lambda dialog: (strange.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request", lambda r: None if r.url.startswith((label_studio.url, "data:", "blob:")) else strange.append(r.url)
        )  # fmt: skip
        page.goto(f"{label_studio.url}/user/login")
        page.fill("input[name=email]", EMAIL)
        page.fill("input[name=password]", label_studio.password)
        page.click("[type=submit]")
        page.wait_for_url(lambda url: "login" not in url)
        yield page
        browser.close()
    assert strange == []


@pytest.fixture(scope="module")
def project(label_studio: LabelStudio, taxonomy: Taxonomy) -> int:
    sheet = Worksheet(
        "demo", "first", "pilot", "ada", taxonomy,
        (
            Task(issue(1), thread(1, "Loss is NaN", CODE, "Same here.", CODE)),
            Task(issue(2), thread(2, "How do I train?", "Please tell me.")),
            Task(issue(3), thread(3, f"<b>Title</b> {{{{7*7}}}} $link {HOSTILE[:60]}", HOSTILE, HOSTILE)),
            Task(issue(4), thread(4, "Seen before", "It fails."), annotation=BEFORE),
            Task(issue(5), thread(5, "Suggested", "It fails."), suggested=SUGGESTED),
            Task(issue(6)),
        ),
    )  # fmt: skip
    return label_studio.make_project("Labels", interface(taxonomy), tasks(sheet))


def show(page: "sync_api.Page", label_studio: LabelStudio, project: int, number: int) -> None:
    page.goto(f"{label_studio.url}/projects/{project}/data?task={label_studio.tasks(project)[number]}")
    page.wait_for_selector("#issue_gate")


def picture(page: "sync_api.Page", name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def choose(page: "sync_api.Page", control: str, label: str) -> None:
    page.locator(f"#{control} input[name='{label}']").check()


def send(page: "sync_api.Page", button: str = "Submit") -> None:
    with page.expect_response(lambda r: "/annotations" in r.url and r.request.method in ("POST", "PATCH")) as sent:
        page.get_by_text(button, exact=True).click()
    assert sent.value.ok


def fill_in(page: "sync_api.Page", taxonomy: Taxonomy, number: int, answers: dict[str, str]) -> None:
    for facet in taxonomy.defect_facets:
        label = facet.label(answers[facet.id])
        if facet.narrowed_by is None:
            choose(page, f"defect{number}_{facet.id}", label)
            continue
        control = f"defect{number}_{facet.id}_{answers[facet.narrowed_by]}"
        if page.locator(f"#{control} input[name='{label}']").count() == 0:
            page.locator(f"#{control} input").last.check()
            control += "_ELSEWHERE"
        choose(page, control, label)


def read(label_studio: LabelStudio, project: int, taxonomy: Taxonomy) -> dict[int, Annotation]:
    return {a.issue.number: a for a in read_export(label_studio.export(project), "export", taxonomy, "demo")}


def test_two_issues_labelled_by_clicking_are_read_back_as_clicked(label_studio, project, page, taxonomy) -> None:
    show(page, label_studio, project, 1)
    picture(page, "1-thread")
    choose(page, "issue_gate", "Defect")
    assert page.locator("#defect1_root-cause_training").is_hidden()
    fill_in(page, taxonomy, 1, DEFECT)
    assert page.locator("#defect1_root-cause_training").is_visible()
    assert page.locator("#defect1_root-cause_modeling").is_hidden()
    assert page.locator("#defect2_stage").is_hidden()
    page.locator("#another1 input").check()
    fill_in(page, taxonomy, 2, OTHER)
    picture(page, "2-second-defect")
    choose(page, "marks", "To discuss")
    page.locator("#note textarea").fill(NOTE)
    picture(page, "3-note")
    send(page)

    show(page, label_studio, project, 2)
    choose(page, "issue_gate", "No reengineering defect")
    assert page.locator("#defect1_stage").is_hidden()
    picture(page, "4-no-defect")
    send(page)

    labelled = read(label_studio, project, taxonomy)
    assert labelled[1] == Annotation(issue(1), "ada", "pilot", {"gate": "defect"}, (DEFECT, OTHER), discuss=True, note=NOTE)
    assert labelled[2] == Annotation(issue(2), "ada", "pilot", {"gate": "no-defect"}, ())


def test_a_hostile_thread_is_shown_to_the_letter_and_hotkeys_choose(label_studio, project, page, taxonomy) -> None:
    show(page, label_studio, project, 3)
    posts = page.locator(".rd-posts [class*=dialoguetext]").all_inner_texts()
    assert posts == [HOSTILE, HOSTILE]
    assert page.locator(".rd-thread h3").inner_text() == f"<b>Title</b> {{{{7*7}}}} $link {HOSTILE[:60]}"
    assert page.locator(".rd-thread a").evaluate_all("found => found.map(a => a.href)") == [issue(3).url]
    assert page.locator(".rd-thread script, .rd-thread img, .rd-thread b").count() == 0
    assert page.evaluate("window.ran") is None
    assert page.evaluate("document.querySelector('.rd-posts').scrollWidth <= document.querySelector('.rd-posts').clientWidth")
    picture(page, "5-hostile")

    page.locator(".rd-form h4").first.click()
    page.keyboard.press("2")
    assert page.locator("#issue_gate input[name='No reengineering defect']").is_checked()
    page.keyboard.press("3")
    assert page.locator("#marks input[name='To discuss']").is_checked()
    send(page)
    assert read(label_studio, project, taxonomy)[3] == Annotation(
        issue(3), "ada", "pilot", {"gate": "no-defect"}, (), discuss=True
    )  # fmt: skip


def test_what_was_said_before_is_filled_in_and_changes_only_where_the_annotator_changes_it(
    label_studio, project, page, taxonomy
) -> None:
    assert read(label_studio, project, taxonomy)[4] == BEFORE
    show(page, label_studio, project, 4)
    assert page.locator("#defect2_root-cause_data-pipeline_ELSEWHERE input[name='GPU usage bug']").is_checked()
    assert page.locator("#defect3_stage input[name='Training']").is_checked()
    picture(page, "6-seen-before")
    page.locator("#another2 input").uncheck()
    send(page, "Update")
    assert read(label_studio, project, taxonomy)[4] == replace(BEFORE, defects=BEFORE.defects[:2])


def test_suggestions_are_filled_in_and_recorded_and_an_unfinished_form_is_not_taken(
    label_studio, project, page, taxonomy
) -> None:
    show(page, label_studio, project, 5)
    assert page.locator("#issue_gate input[name='Defect']").is_checked()
    assert page.locator("#defect1_root-cause_training_ELSEWHERE input[name='GPU usage bug']").is_checked()
    page.get_by_text("Submit", exact=True).click()
    refusal = page.get_by_text("Defect 1: Framework has no answer.")
    refusal.wait_for()
    picture(page, "7-unfinished")
    page.get_by_role("button", name="OK").click()
    fill_in(page, taxonomy, 1, DEFECT)
    send(page)
    suggested = {facet: category for facet, (category, _) in SUGGESTED.items()}
    assert read(label_studio, project, taxonomy)[5] == Annotation(
        issue(5), "ada", "pilot", {"gate": "defect"}, (DEFECT,), suggested=suggested
    )  # fmt: skip


def test_an_issue_without_its_text_is_shown_too_and_any_taxonomy_is_taken(label_studio, project, page) -> None:
    show(page, label_studio, project, 6)
    assert "not in the store" in page.locator(".rd-posts").inner_text()
    other = read_taxonomy(CHECKOUT / "taxonomy" / "humbatova2020.yaml")
    label_studio.make_project("Faults", interface(other), tasks(Worksheet("demo", "b", "r", "ada", other, (Task(issue(1)),))))
