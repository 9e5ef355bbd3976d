"""Annotation from batch to decision, on the demo study: real files in a root of their own, a real store."""

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Run, contents, make_root

from pipeline.adjudicating import import_decisions, open_cases, worklist_file
from pipeline.annotate.annotation import Annotation, Task, Worksheet
from pipeline.annotating import (
    Wish,
    batches,
    draw_batch,
    import_annotations,
    keep_annotations,
    labelling_files,
    progress,
    study_codebook,
    worksheets,
)
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference, Label
from pipeline.files import sha256
from pipeline.importing import annotation_files, import_study, import_threads
from pipeline.models import shipped_model
from pipeline.store import read
from pipeline.store.predictions import Said, put_predictions
from pipeline.store.session import Store
from pipeline.store.write import put_labels
from pipeline.study import Study, read_study
from pipeline.taxonomy import Taxonomy

PILOT = Wish("pilot-1", "pilot", ("ann", "bob"), size=12, overlap=6, relabel=True)
Fill = Callable[[str, Task], Annotation | None]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the demo study in its store; tests copy it."""
    root = make_root(tmp_path_factory.mktemp("imported") / "root")
    study = read_study(root / "data" / "studies" / "demo.toml")
    store = Store(str(study.database))
    import_threads(store, root / "data" / "demo" / "threads", "demo")
    import_study(store, study)
    store.close()
    return root


@pytest.fixture
def study(imported: Path, tmp_path: Path) -> Study:
    shutil.copytree(imported, tmp_path / "own")
    return read_study(tmp_path / "own" / "data" / "studies" / "demo.toml")


@pytest.fixture
def filled(study: Study) -> Store:
    return Store(str(study.database))


def answer(taxonomy: Taxonomy, stage: str = "training", symptom: str = "crash") -> dict[str, str]:
    return {f.id: f.choices[0].id for f in taxonomy.defect_facets} | {"stage": stage, "symptom": symptom}


def as_usual(taxonomy: Taxonomy) -> Fill:
    """Ann and Bob agree but for the symptom."""

    def fill(annotator: str, task: Task) -> Annotation:
        said = answer(taxonomy, symptom="crash" if annotator == "ann" else "hang")
        note = f"{annotator} thinks so" if annotator == "bob" else ""
        return Annotation(task.issue, annotator, "pilot", {"gate": "defect"}, (said,), note=note)

    return fill


def hand_in(folder: Path, sheets: list[Worksheet], tool: str, fill: Fill) -> list[Path]:
    """Write what annotators return: their worksheets, filled in."""
    done = []
    for sheet in sheets:
        tasks = [
            replace(task, annotation=said and replace(said, round=sheet.round))
            for task in sheet.tasks
            for said in [fill(sheet.annotator, task)]
        ]
        done.append(replace(sheet, tasks=tuple(tasks)))
    paths = []
    for name, content in labelling_files(done, tool).items():
        if not name.endswith(".xml"):
            paths.append(folder / name)
            paths[-1].write_bytes(content)
    return paths


def label_pilot(store: Store, study: Study, folder: Path) -> None:
    """Draw the pilot's batch, and have it labelled by Ann and Bob."""
    draw_batch(store, study, PILOT)
    paths = hand_in(folder, worksheets(store, study, "pilot-1"), "csv", as_usual(study.read_taxonomy()))
    import_annotations(store, study, paths, {})


def said_in(store: Store, study: Study, round_: str) -> set[tuple[str, int, int, str, str, str]]:
    with store.reading() as connection:
        labels = read.labels(connection, study.name)
    columns = ["repository", "number", "defect", "facet", "category", "annotator"]
    return set(labels.loc[labels["round"] == round_, columns].itertuples(index=False, name=None))


@pytest.mark.parametrize("tool", ["label-studio", "xlsx", "csv"])
def test_what_annotators_fill_in_comes_into_files_and_store(filled: Store, study: Study, tmp_path: Path, tool: str) -> None:
    draw_batch(filled, study, PILOT)
    sheets = worksheets(filled, study, "pilot-1")
    paths = hand_in(tmp_path, sheets, tool, as_usual(study.read_taxonomy()))
    report = import_annotations(filled, study, paths, {})
    assert [path.relative_to(study.annotations).as_posix() for path in report.files] == ["pilot-1/ann.csv", "pilot-1/bob.csv"]
    labels = said_in(filled, study, "pilot")
    assert len(labels) == 18 * 11
    assert {category for *_, facet, category, who in labels if facet == "symptom" and who == "bob"} == {"hang"}
    with filled.reading() as connection:
        remarks = read.remarks(connection, study.name)
    assert set(remarks["note"]) == {"", "bob thinks so"}


def test_files_say_all_that_the_store_says(filled: Store, study: Study, tmp_path: Path) -> None:
    label_pilot(filled, study, tmp_path)
    for thread in json.loads(labelling_files(worksheets(filled, study, "pilot-1"), "label-studio")["pilot-1-ann.json"]):
        for path in annotation_files(study):
            assert thread["data"]["title"] not in path.read_text()
    assert import_study(filled, study).changed == 0
    anew = Store(str(tmp_path / "anew.sqlite"))
    import_study(anew, study)
    assert said_in(anew, study, "pilot") == said_in(filled, study, "pilot")


def test_labels_whose_file_is_gone_leave_the_store(filled: Store, study: Study, tmp_path: Path) -> None:
    label_pilot(filled, study, tmp_path)
    (study.annotations / "pilot-1" / "bob.csv").unlink()
    import_study(filled, study)
    assert {who for *_, who in said_in(filled, study, "pilot")} == {"ann"}
    with filled.reading() as connection:
        assert set(read.remarks(connection, study.name)["annotator"]) == {"ann"}


def test_a_file_that_cannot_be_written_leaves_files_and_store_as_they_were(filled: Store, study: Study, tmp_path: Path) -> None:
    label_pilot(filled, study, tmp_path)
    (study.annotations / "zz").write_text("a file where a folder would be")
    there = {path: path.read_bytes() for path in annotation_files(study)}
    filled.close()
    before = contents(study.database)
    usual = as_usual(study.read_taxonomy())
    (task, *_), issue = worksheets(filled, study, "pilot-1")[0].tasks, IssueReference("tidewrack/caffe-shoal", 66)
    said = [a for a in (usual("ann", task), usual("ann", Task(issue))) if a is not None]
    new = {study.annotations / "pilot-1" / "ann.csv": said[:1], study.annotations / "aa" / "ann.csv": said[1:]}
    with pytest.raises(RedefectError, match="zz"):
        keep_annotations(filled, study, new | {study.annotations / "zz" / "ann.csv": said[1:]}, "test", {})
    filled.close()
    assert contents(study.database) == before
    assert {path: path.read_bytes() for path in annotation_files(study)} == there


def test_a_second_import_changes_nothing(filled: Store, study: Study, tmp_path: Path) -> None:
    draw_batch(filled, study, PILOT)
    paths = hand_in(tmp_path, worksheets(filled, study, "pilot-1"), "csv", as_usual(study.read_taxonomy()))
    import_annotations(filled, study, paths, {})
    filled.close()
    before = contents(study.database), [path.read_bytes() for path in annotation_files(study)]
    report = import_annotations(filled, study, paths, {})
    filled.close()
    assert (contents(study.database), [path.read_bytes() for path in annotation_files(study)]) == before
    assert {(p.added, p.corrected) for p in report.progress} == {(0, 0)}


def test_batches_are_disjoint_unless_one_repeats_another(filled: Store, study: Study) -> None:
    for name in ("one", "two"):
        draw_batch(filled, study, replace(PILOT, name=name))
    draw_batch(filled, study, Wish("again", "pilot-discussed", (), repeats="one"))
    issues = {name: {issue.reference for issue in batch.issues} for name, batch in batches(study).items()}
    assert not issues["one"] & issues["two"]
    assert issues["again"] == issues["one"]


def test_issues_that_the_verdict_labels_are_asked_about_only_on_demand(filled: Store, study: Study) -> None:
    with pytest.raises(RedefectError, match="12 issues are wanted and 0 are there"):
        draw_batch(filled, study, replace(PILOT, relabel=False))


def test_a_queue_feeds_a_batch_in_its_order(filled: Store, study: Study, tmp_path: Path) -> None:
    queue = tmp_path / "queue.csv"
    numbers = some_issues(filled, study)
    numbers.insert(1, IssueReference("un/known", 1))  # the store need not hold it
    queue.write_text(
        "rank,repository,number\n" + "".join(f"{n},{i.repository},{i.number}\n" for n, i in enumerate(numbers, start=1))
    )
    draw_batch(filled, study, Wish("queued", "final", ("ann",), size=3, strata="none", queue=queue))
    assert {issue.reference for issue in batches(study)["queued"].issues} == set(numbers[:3])


def some_issues(store: Store, study: Study) -> list[IssueReference]:
    draw_batch(store, study, replace(PILOT, name="other", size=5, overlap=0))
    issues = [issue.reference for issue in batches(study)["other"].issues]
    (study.annotations / "other" / "batch.toml").unlink()
    return issues


def test_no_annotator_sees_another_s_labels_or_anybody_s_login(filled: Store, study: Study, tmp_path: Path) -> None:
    label_pilot(filled, study, tmp_path)
    again = labelling_files(worksheets(filled, study, "pilot-1", ["ann"]), "label-studio")["pilot-1-ann.json"].decode()
    assert "bob" not in again
    assert "hang" not in {
        c for task in json.loads(again) for r in task["annotations"][0]["result"] for c in r["value"].get("choices", [])
    }
    with filled.reading() as connection:
        people = read.people(connection)
    writers = {post["who"].split(" ")[0] for task in json.loads(again) for post in task["data"]["posts"]}
    assert len(people) > 10
    assert writers == {f"person-{n}" for n in range(1, len(writers) + 1)}


def test_annotators_go_on_with_what_they_have_said(filled: Store, study: Study, tmp_path: Path) -> None:
    draw_batch(filled, study, PILOT)
    usual = as_usual(study.read_taxonomy())
    first, *_ = worksheets(filled, study, "pilot-1")
    half = {task.issue for task in first.tasks[:4]}
    paths = hand_in(tmp_path, [first], "xlsx", lambda who, task: usual(who, task) if task.issue in half else None)
    import_annotations(filled, study, paths, {})
    assert [(p.annotator, p.asked, p.labelled) for _, p in progress(study)] == [("ann", 9, 4), ("bob", 9, 0)]
    (again,) = worksheets(filled, study, "pilot-1", ["ann"])
    assert {task.issue for task in again.tasks if task.annotation} == half
    rest = hand_in(tmp_path, [again], "csv", lambda who, task: None if task.issue in half else usual(who, task))
    report = import_annotations(filled, study, rest, {})
    assert [(p.labelled, p.added) for p in report.progress] == [(9, 5)]


def test_a_repeated_batch_begins_with_one_s_own_labels_of_before(filled: Store, study: Study, tmp_path: Path) -> None:
    label_pilot(filled, study, tmp_path)
    draw_batch(filled, study, Wish("pilot-2", "pilot-discussed", (), repeats="pilot-1"))
    for sheet in worksheets(filled, study, "pilot-2"):
        assert {task.annotation.annotator for task in sheet.tasks if task.annotation} == {sheet.annotator}
        assert {task.annotation.round for task in sheet.tasks if task.annotation} == {"pilot-discussed"}


def test_corrections_are_asked_for(filled: Store, study: Study, tmp_path: Path) -> None:
    draw_batch(filled, study, PILOT)
    taxonomy = study.read_taxonomy()
    sheets = worksheets(filled, study, "pilot-1", ["ann"])
    import_annotations(filled, study, hand_in(tmp_path, sheets, "csv", as_usual(taxonomy)), {})

    def otherwise(who: str, task: Task) -> Annotation:
        return Annotation(task.issue, who, "pilot", {"gate": "defect"}, (answer(taxonomy, "modeling"),))

    paths = hand_in(tmp_path, sheets, "csv", otherwise)
    before = said_in(filled, study, "pilot")
    with pytest.raises(RedefectError, match=r"was imported before with other labels by 'ann' \(9 such issues\).*--correct"):
        import_annotations(filled, study, paths, {})
    assert said_in(filled, study, "pilot") == before
    assert import_annotations(filled, study, paths, {}, correct=True).progress[0].corrected == 9
    assert {c for *_, facet, c, _who in said_in(filled, study, "pilot") if facet == "stage"} == {"modeling"}


def test_suggestions_are_shown_on_demand_and_recorded_on_each_label(filled: Store, study: Study, tmp_path: Path) -> None:
    draw_batch(filled, study, replace(PILOT, suggestions=True))
    with pytest.raises(RedefectError, match="run `redefect classify --study demo` first"):
        worksheets(filled, study, "pilot-1")
    issues = [issue.reference for issue in batches(study)["pilot-1"].issues]
    said = {
        "stage": Said({"modeling": 0.9, "training": 0.1}, "modeling", abstained=False),
        "gate": Said({"question": 1.0}, "question", abstained=False),
    }
    with filled.writing() as connection:
        put_predictions(connection, "m", sha256(shipped_model()), dict.fromkeys(issues, said))
    sheets = worksheets(filled, study, "pilot-1")
    assert {facet for sheet in sheets for task in sheet.tasks for facet in task.suggested} == {"stage"}
    usual = as_usual(study.read_taxonomy())
    paths = hand_in(
        tmp_path,
        sheets,
        "label-studio",
        lambda who, task: replace(a, suggested={"stage": "modeling"}) if (a := usual(who, task)) else None,
    )
    import_annotations(filled, study, paths, {})
    with filled.reading() as connection:
        labels = read.labels(connection, study.name)
    labels = labels[labels["round"] == "pilot"]
    assert set(labels.loc[labels["facet"] == "stage", "suggested"]) == {"modeling"}
    assert labels.loc[labels["facet"] != "stage", "suggested"].isna().all()


def test_several_people_label_in_one_project_of_label_studio(filled: Store, study: Study, tmp_path: Path) -> None:
    draw_batch(filled, study, PILOT)
    (shared,) = worksheets(filled, study, "pilot-1", shared=True)
    path = tmp_path / "export.json"
    tasks = json.loads(labelling_files([shared], "label-studio")["pilot-1-shared.json"])
    usual = as_usual(study.read_taxonomy())
    ids = {"ann": 1, "bob": 2}
    for task in tasks:  # as Label Studio exports them: an annotation a person, who is known by a number
        issue = IssueReference(task["data"]["repository"], task["data"]["number"])
        task["annotations"] = []
        for sheet in worksheets(filled, study, "pilot-1"):
            said = [replace(t, annotation=usual(sheet.annotator, t)) for t in sheet.tasks if t.issue == issue]
            files = labelling_files([replace(sheet, tasks=tuple(said))], "label-studio")
            for written in json.loads(files[f"pilot-1-{sheet.annotator}.json"]):
                task["annotations"].append(written["annotations"][0] | {"completed_by": ids[sheet.annotator]})
    path.write_text(json.dumps(tasks))
    with pytest.raises(RedefectError, match=r"(1|2)"):
        import_annotations(filled, study, [path], {"1": "ann"})
    report = import_annotations(filled, study, [path], {"1": "ann", "2": "bob"})
    assert [(p.annotator, p.labelled) for p in report.progress] == [("ann", 9), ("bob", 9)]
    with pytest.raises(RedefectError, match="only a project of Label Studio can be shared"):
        labelling_files([shared], "xlsx")


@pytest.mark.parametrize("tool", ["xlsx", "csv"])
def test_differences_are_decided_in_a_round_of_their_own(filled: Store, study: Study, tmp_path: Path, tool: str) -> None:
    label_pilot(filled, study, tmp_path)
    before = said_in(filled, study, "pilot")
    cases, machine = open_cases(filled, study, "pilot", "eve", "agreed", shipped_model())
    assert len(cases) == 6
    assert {(q.facet, q.said) for case in cases for q in case.questions} <= {
        ("symptom", ("crash", "hang")),
        ("symptom", ("hang", "crash")),
    }
    path = tmp_path / f"worklist.{tool}"
    path.write_bytes(worklist_file(cases, study, "pilot", machine, tool))
    if tool == "csv":
        assert b"bob thinks so" in path.read_bytes()
        assert not re.search(rb"\bann\b", path.read_bytes())
    settled, still_open, file = import_decisions(filled, study, path, "eve", "agreed")
    assert (settled, still_open) == (6, 6)
    decide(path, lambda row: "Hang")
    settled, still_open, file = import_decisions(filled, study, path, "eve", "agreed")
    assert (settled, still_open) == (12, 0)
    assert file == study.annotations / "pilot-agreed" / "eve.csv"
    decided = said_in(filled, study, "agreed")
    assert len(decided) == 12 * 11
    assert said_in(filled, study, "pilot") == before
    assert open_cases(filled, study, "pilot", "eve", "agreed", shipped_model())[0] == []


def test_a_round_that_asked_less_than_the_taxonomy_has_is_decided_as_well(filled: Store, study: Study, tmp_path: Path) -> None:
    issue = IssueReference("tidewrack/caffe-shoal", 66)
    labels = [
        Label(issue, defect, facet, category, category, who, "earlier")
        for who, symptom in (("ann", "crash"), ("bob", "hang"))
        for defect, facet, category in ((0, "gate", "defect"), (1, "symptom", symptom), (1, "stage", "training"))
    ]
    with filled.writing() as connection:
        put_labels(connection, labels, "elsewhere")
    path = tmp_path / "worklist.csv"
    for symptom in ("Hang", "Crash"):  # a second time, what was written is read
        cases, machine = open_cases(filled, study, "earlier", "eve", f"agreed-{symptom}", shipped_model())
        path.write_bytes(worklist_file(cases, study, "earlier", machine, "csv"))
        decide(path, lambda row, chosen=symptom: chosen)
        _, _, file = import_decisions(filled, study, path, "eve", f"agreed-{symptom}")
        assert "Framework" not in file.read_text()
        assert {(facet, c) for *_, facet, c, _ in said_in(filled, study, f"agreed-{symptom}")} == {
            ("gate", "defect"), ("symptom", symptom.casefold()), ("stage", "training"),
        }  # fmt: skip


@pytest.mark.parametrize("names", [("../up", "eve", "agreed"), ("pilot", "../eve", "agreed"), ("pilot", "eve", "a/b")])
def test_no_name_becomes_a_path_out_of_the_study_s_folder(filled: Store, study: Study, names: tuple[str, str, str]) -> None:
    with pytest.raises(RedefectError, match="is no name for"):
        open_cases(filled, study, *names, shipped_model())


def decide(path: Path, decision: Callable[[dict[str, str]], str]) -> None:
    """Fill in the column of decisions, as an adjudicator would."""
    if path.suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
        for row in rows:
            row["Decision"] = decision(row)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return
    from openpyxl import load_workbook

    book = load_workbook(path)
    sheet = book["Worklist"]
    titles = [cell.value for cell in sheet[1]]
    for cells in sheet.iter_rows(min_row=2):
        row = {str(title): str(cell.value or "") for title, cell in zip(titles, cells, strict=True)}
        cells[titles.index("Decision")].value = decision(row)
    book.save(path)


def test_the_codebook_gives_no_issue_away_that_is_still_to_be_labelled(filled: Store, study: Study) -> None:
    draw_batch(filled, study, replace(PILOT, size=100))
    asked = {issue.reference for issue in batches(study)["pilot-1"].issues}
    shown = {issue for issues in study_codebook(filled, study).examples.values() for issue in issues}
    assert shown
    assert not shown & asked


WRONG = [
    ({"Annotator": "anna"}, "'anna' is no annotator of round 'pilot'; did you mean 'ann'?"),
    ({"Round": "final"}, "is of round 'final', of which this study has no batch; it may be another project's"),
    ({"Repository": "some/where", "Link": ""}, "'ann' was not asked about some/where#"),
    ({"Stage": "trainig"}, "'trainig'"),
    ({"Stage": ""}, "row 2"),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_a_sheet_that_is_wrong_in_one_place_changes_nothing(
    filled: Store, study: Study, tmp_path: Path, changes: dict[str, str], sentence: str
) -> None:
    draw_batch(filled, study, PILOT)
    paths = hand_in(tmp_path, worksheets(filled, study, "pilot-1"), "csv", as_usual(study.read_taxonomy()))
    rows = list(csv.DictReader(io.StringIO(paths[0].read_text(encoding="utf-8-sig"))))
    for row in rows if changes.keys() & {"Annotator", "Round"} else rows[:1]:
        row.update(changes)
    with paths[0].open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    filled.close()
    before = contents(study.database)
    with pytest.raises(RedefectError) as caught:
        import_annotations(filled, study, paths[::-1], {})
    assert sentence in str(caught.value)
    assert str(paths[0]) in str(caught.value)
    filled.close()
    assert contents(study.database) == before
    assert annotation_files(study) == []


def test_the_same_annotator_in_two_files_says_the_same(filled: Store, study: Study, tmp_path: Path) -> None:
    draw_batch(filled, study, PILOT)
    taxonomy = study.read_taxonomy()
    sheets = worksheets(filled, study, "pilot-1", ["ann"])
    paths = hand_in(tmp_path, sheets, "csv", as_usual(taxonomy))
    paths += hand_in(tmp_path, sheets, "label-studio", as_usual(taxonomy))
    import_annotations(filled, study, paths, {})
    other = hand_in(tmp_path, sheets, "xlsx", lambda who, t: Annotation(t.issue, who, "pilot", {"gate": "no-defect"}, ()))
    with pytest.raises(RedefectError, match="has other labels than in .*, both by 'ann'; remove one of the two"):
        import_annotations(filled, study, [paths[0], *other], {}, correct=True)


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        (replace(PILOT, name="a/b"), "'a/b' is no name for a batch"),
        (replace(PILOT, annotators=("ann", "Ann")), "Annotator 'ann' stands twice"),
        (replace(PILOT, annotators=()), "A batch needs annotators"),
        (replace(PILOT, size=0), "A batch needs issues"),
        (replace(PILOT, annotators=("=1+1",)), "'=1[+]1' is no name for an annotator"),
        (Wish("x", "final", (), repeats="none"), "has no batch 'none' to repeat; it has none"),
    ],
)
def test_a_batch_that_cannot_be_is_one_sentence(filled: Store, study: Study, wish: Wish, sentence: str) -> None:
    with pytest.raises(RedefectError, match=sentence):
        draw_batch(filled, study, wish)
    assert not study.annotations.exists()


def test_a_batch_is_drawn_once(filled: Store, study: Study) -> None:
    draw_batch(filled, study, PILOT)
    with pytest.raises(RedefectError, match=r"pilot-1.batch.toml: is there already, and annotators may work by it"):
        draw_batch(filled, study, replace(PILOT, size=2, overlap=0))
    with pytest.raises(RedefectError, match="was labelled in round 'pilot' already"):
        draw_batch(filled, study, Wish("again", "pilot", (), repeats="pilot-1"))


def test_the_commands_lead_from_the_batch_to_the_decisions(redefect: Run, root: Path) -> None:
    redefect("import", "threads", "data/demo/threads")
    redefect("import", "study")
    redefect(
        "annotate", "batch", "one", "--round", "pilot", "-a", "ann", "-a", "bob", "--size", "6", "--overlap", "6", "--relabel"
    )
    redefect("annotate", "export", "one", "--tool", "csv")
    folder = root / "data" / "build" / "demo" / "annotate"
    for who in ("ann", "bob"):
        path = folder / "one" / f"one-{who}.csv"
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
        for row in rows:
            row["Reengineering defect"] = "Defect" if who == "ann" else "No reengineering defect"
            facets = (
                "Framework",
                "Project type",
                "Reporter",
                "Stage",
                "Manifestation",
                "Symptom",
                "Defect type",
                "Root cause",
                "Same code",
                "Same data",
            )
            if who == "ann":
                row |= dict.fromkeys(facets, "other") | {
                    "Project type": "User fork", "Reporter": "re-user", "Stage": "training", "Manifestation": "basic",
                    "Same code": "yes", "Same data": "no",
                }  # fmt: skip
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    done = redefect("annotate", "import", folder / "one" / "one-ann.csv", folder / "one" / "one-bob.csv")
    assert "made data/annotations/demo/one/ann.csv" in done.stdout
    assert "one" in redefect("annotate", "status").stdout
    done = redefect("annotate", "adjudicate", "--round", "pilot", "--tool", "csv", "--by", "eve", "--into", "agreed")
    assert "6 questions about 6 issues" in done.stdout
    decide(folder / "pilot-worklist.csv", lambda row: "No reengineering defect")
    done = redefect("annotate", "decide", folder / "pilot-worklist.csv", "--by", "eve", "--into", "agreed")
    assert "6 issues are settled, 0 still open" in done.stdout
    redefect("annotate", "import", "nothing.txt", expect=1)
    assert "is no USER=ANNOTATOR" in redefect("annotate", "import", "x.json", "--person", "ann", expect=1).stderr
