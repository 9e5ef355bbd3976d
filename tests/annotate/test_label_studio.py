import json
from typing import Any
from xml.etree import ElementTree

import pytest
from annotate.annotations import TEXT, annotations, worksheets
from conftest import CHECKOUT
from hypothesis import given
from hypothesis import strategies as st

from pipeline.annotate.annotation import Annotation, Task, Worksheet
from pipeline.annotate.label_studio import defects_needed, interface, read_export, tasks
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.taxonomy import Taxonomy, read_taxonomy
from pipeline.thread import Comment, Thread

JIANG, HUMBATOVA = (read_taxonomy(CHECKOUT / "taxonomy" / f"{name}.yaml") for name in ("jiang2024", "humbatova2020"))


def facet(name: str, *categories: dict[str, Any], **other: Any) -> dict[str, Any]:
    offered = [{"label": c["id"].upper(), "definition": "d", **c} for c in categories]
    return {"id": name, "title": name, "question": f"{name}?", "source": "s", "categories": offered, **other}


# What neither file has: narrowing in two steps and of the issue, groups in groups, and an answer that no group is named like.
DEEP = Taxonomy.model_validate({
    "id": "deep", "title": "t", "source": {"citation": "c"},
    "facets": [
        facet("kind", {"id": "a"}, {"id": "b"}, level="issue"),
        facet("gate", {"id": "a", "group": True}, {"id": "in", "parent": "a"}, {"id": "out", "final": True}, level="issue",
              narrowed_by="kind"),
        facet("one", {"id": "x"}, {"id": "y"}, {"id": "z"}),
        facet("two", {"id": "x", "group": True}, {"id": "g", "group": True, "parent": "x"}, {"id": "y", "group": True},
              {"id": "p", "parent": "g"}, {"id": "q", "parent": "y"}, narrowed_by="one"),
        facet("three", {"id": "p", "group": True}, {"id": "q", "group": True}, {"id": "r", "parent": "p"},
              {"id": "s", "parent": "q"}, narrowed_by="two"),
    ],
})  # fmt: skip
BOTH = pytest.mark.parametrize("taxonomy", [JIANG, HUMBATOVA, DEEP], ids=lambda taxonomy: taxonomy.id)
ISSUE = IssueReference("acme/anvil", 7)
DEFECT = {
    "framework": "pytorch", "project-type": "user-fork", "reporter": "adaptor", "stage": "training",
    "manifestation": "evolutionary", "symptom": "crash", "defect-type": "logic", "root-cause": "loss-function",
    "same-code": "no", "same-data": "yes",
}  # fmt: skip
LABELLED = Annotation(ISSUE, "ada", "pilot", {"gate": "defect"}, (DEFECT, DEFECT | {"root-cause": "corrupt-data"}))


def worksheet(*tasks: Task, annotator: str = "ada", taxonomy: Taxonomy = JIANG) -> Worksheet:
    return Worksheet("demo", "first", "pilot", annotator, taxonomy, tasks)


def exported(annotation: Annotation = LABELLED, **data: Any) -> list[dict[str, Any]]:
    content = json.loads(tasks(worksheet(Task(annotation.issue, annotation=annotation))))
    content[0]["data"] |= data
    return content


def read(content: Any, annotators: dict[str, str] | None = None) -> list[Annotation]:
    return read_export(json.dumps(content).encode(), "export.json", JIANG, "demo", annotators)


def refused(content: Any, annotators: dict[str, str] | None = None) -> str:
    with pytest.raises(RedefectError) as caught:
        read(content, annotators)
    assert str(caught.value).startswith("export.json: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def result(content: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(r for r in content[0]["annotations"][0]["result"] if r["from_name"] == name)


@BOTH
@given(data=st.data())
def test_export_then_import_gives_the_same_annotations_for_any_that_the_taxonomy_allows(taxonomy, data) -> None:
    sheet = data.draw(worksheets(taxonomy))
    assert read_export(tasks(sheet), "x", taxonomy, "demo") == [task.annotation for task in sheet.tasks]


@BOTH
@given(data=st.data())
def test_what_is_chosen_in_tasks_is_offered_by_the_interface(taxonomy, data) -> None:
    sheet = data.draw(worksheets(taxonomy))
    page = ElementTree.fromstring(interface(taxonomy, defects_needed(sheet)))
    offered = {
        control.get("name"): {choice.get("alias") for choice in control.iter("Choice")}
        for control in page.iter()
        if control.tag == "Choices"
    }
    for task in json.loads(tasks(sheet)):
        for part in (*task.get("annotations", []), *task.get("predictions", [])):
            for said in part["result"]:
                if said["type"] == "choices":
                    assert set(said["value"]["choices"]) <= offered[said["from_name"]]


@BOTH
def test_each_category_that_may_be_chosen_has_its_label_and_definition_and_no_other_is_offered(taxonomy) -> None:
    page = ElementTree.fromstring(interface(taxonomy, 1))
    offered: dict[str, set[tuple[str | None, ...]]] = {}
    for control in page.iter("Choices"):
        facet = str(control.get("name")).split("_")[1:2]
        if facet:
            offered.setdefault(facet[0], set()).update(
                (c.get("alias"), c.get("value"), c.get("hint")) for c in control.iter("Choice") if c.get("alias") != "ELSEWHERE"
            )
    assert offered == {facet.id: {(c.id, c.label, c.definition) for c in facet.choices} for facet in taxonomy.facets}


@BOTH
def test_no_two_choices_share_a_hotkey_and_the_first_questions_have_one(taxonomy) -> None:
    controls = list(ElementTree.fromstring(interface(taxonomy)).iter("Choices"))
    keys = {control.get("name"): [choice.get("hotkey") for choice in control.iter("Choice")] for control in controls}
    given_out = [key for control in keys.values() for key in control if key is not None]
    assert len(given_out) == len(set(given_out))
    assert "u" not in given_out  # which Label Studio takes for itself
    first = [name for name in keys if name == "marks" or str(name).startswith(("issue_", "defect1_"))][:8]
    assert [name for name in first if None in keys[name]] == []


def test_categories_of_several_groups_stand_under_the_names_of_these() -> None:
    page = ElementTree.fromstring(interface(HUMBATOVA, 1))
    groups = page.findall(".//Choices[@name='defect1_fault']/View")
    assert [group.find("Header").get("value") for group in groups] == ["Model", "Layers", "Tensors & inputs", "Training"]
    assert [choice.get("alias") for choice in page.findall(".//Choices[@name='defect1_fault']/Choice")] == ["gpu-usage", "api"]


def test_a_root_cause_is_asked_by_the_stage_and_any_is_within_reach() -> None:
    page = ElementTree.fromstring(interface(JIANG, 1))
    controls = {
        control.get("name"): [choice.get("alias") for choice in control.iter("Choice")] for control in page.iter("Choices")
    }
    assert controls["defect1_root-cause_data-pipeline"] == [
        "data-preprocessing", "corrupt-data", "training-data-quality", "documentation", "other", "ELSEWHERE",
    ]  # fmt: skip
    near, far = controls["defect1_root-cause_training"], controls["defect1_root-cause_training_ELSEWHERE"]
    assert [*near[:-1], *far] != JIANG.facet("root-cause").choices
    assert sorted([*near[:-1], *far]) == sorted(c.id for c in JIANG.facet("root-cause").choices)
    shown = page.find(".//View[@idAttr='defect1_root-cause_training_ELSEWHERE']/..")
    assert shown is not None
    assert shown.attrib == {
        "visibleWhen": "choice-selected", "whenTagName": "defect1_root-cause_training", "whenChoiceValue": "ELSEWHERE",
    }  # fmt: skip


def test_an_interface_has_forms_enough_for_what_was_said_before() -> None:
    assert defects_needed(worksheet(Task(ISSUE))) == 3
    five = Annotation(ISSUE, "ada", "pilot", {"gate": "defect"}, (DEFECT,) * 5)
    assert defects_needed(worksheet(Task(ISSUE), Task(ISSUE, annotation=five))) == 5


def test_the_same_worksheet_gives_the_same_bytes() -> None:
    sheet = worksheet(Task(ISSUE, annotation=LABELLED))
    assert tasks(sheet) == tasks(sheet)
    assert interface(JIANG) == interface(JIANG)


def test_a_thread_is_given_as_text_and_its_link_is_the_only_markup() -> None:
    evil = "<img src=x onerror=alert(1)>"
    thread = Thread(
        repository="acme/<b>", number=7, title=evil, body=evil, author=evil, labels=(evil,), comments=(Comment(body=evil),)
    )  # fmt: skip
    data = json.loads(tasks(worksheet(Task(IssueReference("acme/<b>", 7), thread))))[0]["data"]
    assert (data["title"], data["state"]) == (evil, evil)
    assert data["posts"] == [{"who": evil, "text": evil}, {"who": "unknown", "text": evil}]
    assert data["link"] == (
        '<a href="https://github.com/acme/&lt;b&gt;/issues/7" target="_blank">acme/&lt;b&gt;#7</a>'
    )  # fmt: skip


def test_suggestions_are_predictions_with_their_probability_and_are_recorded() -> None:
    suggested = {"gate": ("defect", 0.9), "stage": ("training", 0.7), "root-cause": ("corrupt-data", 0.4)}
    task = json.loads(tasks(worksheet(Task(ISSUE, suggested=suggested))))[0]
    assert task["predictions"][0]["score"] == 0.4
    assert [(r["from_name"], *r["value"]["choices"], r["score"]) for r in task["predictions"][0]["result"]] == [
        ("issue_gate", "defect", 0.9),
        ("defect1_stage", "training", 0.7),
        ("defect1_root-cause_training", "ELSEWHERE", 0.4),
        ("defect1_root-cause_training_ELSEWHERE", "corrupt-data", 0.4),
    ]
    assert "annotations" not in task
    (read_back,) = read(exported(suggested=task["data"]["suggested"]))
    assert read_back.suggested == {"gate": "defect", "stage": "training", "root-cause": "corrupt-data"}
    assert "predictions" not in json.loads(tasks(worksheet(Task(ISSUE))))[0]


def test_tasks_that_are_skipped_or_not_yet_labelled_are_left_out() -> None:
    skipped = exported()
    skipped[0]["annotations"][0] |= {"was_cancelled": True, "result": []}
    assert read([*skipped, *json.loads(tasks(worksheet(Task(ISSUE))))]) == []


def test_a_category_that_may_no_longer_be_chosen_is_left_for_the_annotator_to_answer_anew() -> None:
    old = Annotation(ISSUE, "ada", "pilot", {"gate": "defect"}, (DEFECT | {"symptom": "low-frequency-type"},))
    assert "defect 1: is half done, 'Symptom' has no answer" in refused(exported(old))


def test_what_the_page_hides_counts_for_nothing() -> None:
    content = exported()
    result(content, "issue_gate")["value"]["choices"] = ["no-defect"]
    assert read(content) == [Annotation(ISSUE, "ada", "pilot", {"gate": "no-defect"}, ())]


def test_the_time_that_a_page_was_open_does_not_make_an_issue_slow() -> None:
    content = exported()
    content[0]["annotations"][0]["lead_time"] = 3600.5
    assert not read(content)[0].slow


def test_tasks_that_several_people_label_tell_who_by_id_or_e_mail() -> None:
    content = exported(annotator="")
    first = content[0]["annotations"][0]
    content[0]["annotations"] = [first | {"completed_by": 3}, first | {"completed_by": {"id": 4, "email": "bob@example.org"}}]
    assert [a.annotator for a in read(content, {"3": "ada", "bob@example.org": "bob"})] == ["ada", "bob"]
    assert "nothing is known of '4', who labelled it" in refused(content, {"3": "ada"})


def test_a_task_of_one_annotator_that_several_people_labelled_is_an_error() -> None:
    content = exported()
    first = content[0]["annotations"][0]
    content[0]["annotations"] = [first | {"completed_by": 3}, first | {"completed_by": 4}]
    assert "acme/anvil#7: is a task of 'ada' that several people labelled" in refused(content)


def test_the_same_issue_twice_is_an_error_unless_it_is_labelled_alike() -> None:
    other = exported(Annotation(ISSUE, "ada", "pilot", {"gate": "no-defect"}, ()))
    assert read([*exported(), *exported()]) == [LABELLED]
    assert "acme/anvil#7: is labelled twice by 'ada' in round 'pilot', and not alike" in refused([*exported(), *other])


@pytest.mark.parametrize(
    ("name", "choices", "sentence"),
    [
        (
            "defect1_symptom",
            ["krash"],
            "defect 1: 'krash' is no category of facet 'symptom' that may be chosen; nearest are crash",
        ),
        ("defect1_symptom", ["low-frequency-type"], "defect 1: 'low-frequency-type' is no category of facet 'symptom'"),
        ("defect2_symptom", [], "defect 2: is half done, 'Symptom' has no answer"),
        ("defect2_root-cause_training", [], "defect 2: is half done, 'Root cause' has no answer"),
        ("defect1_stage", ["dropped"], "defect 1: 'dropped' is no category of facet 'stage'"),
        ("issue_gate", [], "is half done, 'Reengineering defect' has no answer"),
        ("issue_gate", ["defect", "no-defect"], "has 2 answers to 'Reengineering defect', defect, no-defect; keep one."),
    ],
)
def test_an_answer_that_cannot_be_is_an_error_that_names_the_issue(name: str, choices: list[str], sentence: str) -> None:
    content = exported()
    result(content, name)["value"]["choices"] = choices
    assert f"export.json: acme/anvil#7: {sentence}" in refused(content)


def test_answers_to_what_is_not_asked_are_an_error() -> None:
    for name in ("defect1_impact", "sentiment", "issue_symptom", "defectx_symptom"):
        content = exported()
        content[0]["annotations"][0]["result"].append({"from_name": name, "value": {"choices": ["a"]}})
        assert f"acme/anvil#7: has an answer to '{name}', which taxonomy 'jiang2024' does not ask" in refused(content)
    content = exported()
    content[0]["annotations"][0]["result"].append({"from_name": "marks", "value": {"choices": ["hard"]}})
    assert "is marked 'hard', which means nothing here; known are discuss, slow." in refused(content)


def test_exports_of_other_projects_are_errors() -> None:
    assert "acme/anvil#7: is a task of study 'other', not of 'demo'" in refused(exported(study="other"))
    assert "acme/anvil#7: is a task of taxonomy 'humbatova2020', not of 'jiang2024'" in refused(
        exported(taxonomy="humbatova2020")
    )
    assert "task 1: is none that was written here (study: Field required)" in refused(
        [{"data": {"text": "a"}, "annotations": []}]
    )
    assert "not as JSON-MIN" in refused([{"id": 1, "issue_gate": "defect"}])
    assert "is no list of tasks" in refused({"id": 1})


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xff\xfe\x00", b"[" * 100_000, b'[{"data": {"number": ' + b"9" * 5000])
def test_what_is_no_json_is_an_error(content: bytes) -> None:
    with pytest.raises(RedefectError, match=r"^export\.json: is no JSON"):
        read_export(content, "export.json", JIANG, "demo")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["", "\ud800", "defect2_stage"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


@given(annotations(JIANG, TEXT), JSON, st.data())
def test_any_value_at_any_place_is_read_or_refused_in_a_sentence(annotation, value, data) -> None:
    content: Any = exported(annotation)
    content[0]["annotations"][0] |= {"completed_by": {"id": 1, "email": "a@b"}, "was_cancelled": False}
    path = data.draw(st.sampled_from(places(content)))
    if not path:
        content = value
    else:
        part = content
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value
    try:
        read(content)
    except RedefectError as error:
        sentence = str(error)
        assert sentence.startswith("export.json: ")
        assert "\n" not in sentence
        sentence.encode()
