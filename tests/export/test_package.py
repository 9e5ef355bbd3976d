"""What a data package holds, and what those say of it who check such packages: Frictionless, Croissant, RO-Crate."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from conftest import make_root
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from validators import Severity, crate_flaws, croissant_rows, frictionless_flaws

from pipeline.errors import RedefectError
from pipeline.export.package import archive, package_files
from pipeline.export.package_documents import documents
from pipeline.export.package_facts import PackageFacts
from pipeline.files import write
from pipeline.package_tables import tables
from pipeline.study import Creator, Study, read_study
from pipeline.taxonomy import Taxonomy

DIGEST, STUDY_DIGEST = "ab" * 32, "cd" * 32
WHEN = datetime(2020, 1, 31, 12, tzinfo=UTC)
ISSUE = {"repository": "owner/name", "number": 7}
LABEL = ISSUE | {
    "facet": "stage", "category": "training", "value": "Training", "annotator": "one", "round": "final", "source": "x",
}  # fmt: skip
ROWS: dict[str, list[dict[str, Any]]] = {
    "repositories": [{"repository": "owner/name", "kind": "solo", "stars": 3, "source": "study made-up"}],
    "issues": [
        {
            **ISSUE, "author": "person:abcdefghijklmnopqrst", "state": "closed", "created_at": WHEN, "comments_complete": True,
            "pull_request": False, "source": "github",
        }
    ],
    "comments": [{**ISSUE, "position": 1, "author": "person:zbcdefghijklmnopqrst", "created_at": WHEN}],
    "samples": [{**ISSUE, "study": "made-up", "rule": "labels"}],
    "labels": [{**LABEL, "defect": 1}, {**LABEL, "defect": 2}],
    "models": [{"model": "words", "facet": "stage", "digest": DIGEST}],
    "predictions": [
        {
            **ISSUE, "model": "words", "digest": DIGEST, "facet": "stage", "category": "training", "probability": 0.75,
            "guess": True, "abstained": False,
        }
    ],
    "runs": [
        {
            "run": 1, "command": "import study", "study": "made-up", "study_digest": STUDY_DIGEST, "version": "0.0.9",
            "inputs": [f"{DIGEST}  data/raw/labels.csv"],
        }
    ],
    "issue_texts": [{**ISSUE, "title": "=1+1", "body": None, "tracker_labels": ["bug"]}],
    "comment_texts": [{**ISSUE, "position": 1, "body": ""}],
}  # fmt: skip

ITS_OWN = pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib", "ignore:The inplace keyword")
"""Warnings of what Croissant's library calls, which are its own business."""


@pytest.fixture(scope="module")
def made_up(root_of_studies: Path) -> Study:
    path = root_of_studies / "data" / "studies" / "made-up.toml"
    path.write_text(
        'title = "Made up"\ndescription = "Nothing."\ntaxonomy = "jiang2024"\nseeds = { sample = 1, resampling = 2 }\n'
        'verdict = { annotator = "one", round = "final" }\n'
        '[[repositories]]\nname = "owner/name"\nkind = "solo"\n[[sources]]\nkind = "labels"\npath = "x"\n'
    )
    return read_study(path)


@pytest.fixture(scope="module")
def root_of_studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("made-up") / "root")


def facts_of(study: Study, taxonomy: Taxonomy, *, with_text: bool = False, **changed: list[dict[str, Any]]) -> PackageFacts:
    rows = ROWS | changed
    filled = {table.name: pa.Table.from_pylist(rows.get(table.name, []), table.schema) for table in tables(with_text=with_text)}
    return PackageFacts(study, taxonomy, filled, with_text, {"e-mail": 2} if with_text else {})


def put(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        write(folder / name, content)
    return folder


@pytest.fixture(scope="module", params=[False, True], ids=["without-text", "with-text"])
def facts(request: pytest.FixtureRequest, made_up: Study, taxonomy: Taxonomy) -> PackageFacts:
    return facts_of(made_up, taxonomy, with_text=request.param)


@pytest.fixture(scope="module")
def files(facts: PackageFacts) -> dict[str, bytes]:
    return package_files(facts, {"data/studies/made-up.toml": facts.study.path.read_bytes()})


@pytest.fixture(scope="module")
def folder(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put(tmp_path_factory.mktemp("package"), files)


@ITS_OWN
def test_the_validators_of_frictionless_croissant_and_ro_crate_have_nothing_against_it(folder: Path, tmp_path: Path) -> None:
    assert frictionless_flaws(folder) == []
    assert [row["labels/defect"] for row in croissant_rows(folder, "labels")] == [1, 2]
    assert crate_flaws(folder, tmp_path / "cache") == []
    recommended = crate_flaws(folder, tmp_path / "cache", Severity.RECOMMENDED)
    assert recommended == ["RECOMMENDED: The organization SHOULD have a URL. (./#creator-1)"]


def test_frictionless_finds_what_breaks_a_key_or_a_reference(made_up: Study, taxonomy: Taxonomy, tmp_path: Path) -> None:
    facts = facts_of(made_up, taxonomy, comments=[{**ISSUE, "number": 8, "position": 1}], samples=2 * ROWS["samples"])
    flaws = frictionless_flaws(put(tmp_path, package_files(facts, {})))
    assert any("foreign key" in flaw.lower() for flaw in flaws)
    assert any("primary key" in flaw.lower() for flaw in flaws)


def test_the_sums_are_those_of_all_other_files(files: dict[str, bytes]) -> None:
    told = dict(reversed(line.split("  ")) for line in files["SHA256SUMS"].decode().splitlines())
    assert told == {name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != "SHA256SUMS"}
    assert list(files)[-1] == "SHA256SUMS"
    assert sorted(told) == list(told)


def test_each_table_is_there_twice_and_each_column_in_the_dictionary(facts: PackageFacts, files: dict[str, bytes]) -> None:
    for table in facts.tables:
        assert {f"tables/{table.name}.csv", f"tables/{table.name}.parquet"} <= files.keys()
    rows = list(csv.DictReader(io.StringIO(files["dictionary.csv"].decode())))
    assert [(row["table"], row["column"]) for row in rows] == [(t.name, field.name) for t in facts.tables for field in t.fields]
    category = next(row for row in rows if row["table"] == "labels" and row["column"] == "category")
    assert "gate=defect|no-defect" in category["values"]
    assert next(row for row in rows if row["table"] == "labels" and row["column"] == "number")["refers_to"] == "issues.number"


def test_the_crate_tells_which_command_of_which_version_read_what(files: dict[str, bytes]) -> None:
    graph = {entity["@id"]: entity for entity in json.loads(files["ro-crate-metadata.json"])["@graph"]}
    run = graph["#run-1"]
    assert (run["name"], graph[run["instrument"]["@id"]]["softwareVersion"]) == ("redefect import study --study made-up", "0.0.9")
    read = [graph[entity["@id"]] for entity in run["object"]]
    assert [(entity["name"], entity["sha256"]) for entity in read] == [
        ("data/raw/labels.csv", DIGEST),
        ("data/studies/made-up.toml", STUDY_DIGEST),
    ]
    for name in set(files) - {"ro-crate-metadata.json", "SHA256SUMS"}:
        assert graph[name]["sha256"] == hashlib.sha256(files[name]).hexdigest()


def test_an_input_that_is_in_the_package_is_told_as_that_file(made_up: Study, taxonomy: Taxonomy) -> None:
    run = ROWS["runs"][0] | {"study_digest": made_up.digest, "inputs": []}
    files = package_files(facts_of(made_up, taxonomy, runs=[run]), {"data/studies/made-up.toml": made_up.path.read_bytes()})
    graph = json.loads(files["ro-crate-metadata.json"])["@graph"]
    assert next(e for e in graph if e["@id"] == "#run-1")["object"] == {"@id": "study/data/studies/made-up.toml"}


def test_texts_are_deposited_with_restricted_access_and_own_labels_are_open(facts: PackageFacts, files: dict[str, bytes]) -> None:
    deposition = json.loads(files[".zenodo.json"])
    assert deposition["upload_type"] == "dataset"
    assert deposition["creators"] == [{"name": "The ReDefect developers"}]
    paper = {
        "identifier": "10.48550/arXiv.2303.07476",
        "relation": "cites",
        "resource_type": "publication-article",
        "scheme": "doi",
    }
    assert paper in deposition["related_identifiers"]
    if facts.with_text:
        assert (deposition["access_right"], "license" in deposition) == ("restricted", False)
        assert "access_conditions" in deposition
    else:
        assert (deposition["access_right"], deposition["license"]) == ("open", "Apache-2.0")


def test_the_citation_names_people_as_people_and_the_software_apart(made_up: Study, taxonomy: Taxonomy) -> None:
    creators = [Creator(name="Doe, Jane", orcid="0000-0002-1825-0097", affiliation="A lab"), Creator(name="A consortium")]
    dataset = made_up.dataset.model_copy(update={"creators": creators, "doi": "10.5281/zenodo.1", "published": "2024-05-06"})
    study = made_up.model_copy(update={"dataset": dataset})
    files = package_files(facts_of(study, taxonomy), {})
    cited = yaml.safe_load(files["CITATION.cff"])
    jane = {
        "family-names": "Doe",
        "given-names": "Jane",
        "affiliation": "A lab",
        "orcid": "https://orcid.org/0000-0002-1825-0097",
    }
    assert cited["authors"] == [jane, {"name": "A consortium"}]
    assert (cited["cff-version"], cited["type"], cited["doi"]) == ("1.2.0", "dataset", "10.5281/zenodo.1")
    assert [reference["type"] for reference in cited["references"]] == ["generic", "software"]
    assert str(cited["date-released"]) == "2024-05-06"


def test_the_data_sheet_counts_what_the_tables_hold(facts: PackageFacts, files: dict[str, bytes]) -> None:
    sheet = files["DATASHEET.md"].decode()
    assert "| Training | 2 | 100.0 [34.2, 100.0] |" in sheet
    assert "| `one` | `final` | 2 | 1 |" in sheet
    assert "2 people" in sheet
    assert "tell of 2 defects" in sheet
    assert ("| e-mail | 2 |" in sheet) == facts.with_text


def test_a_package_whose_time_nobody_tells_is_refused_with_what_to_write(made_up: Study, taxonomy: Taxonomy) -> None:
    issue = {key: value for key, value in ROWS["issues"][0].items() if key != "created_at"}
    facts = facts_of(made_up, taxonomy, issues=[issue], comments=[])
    with pytest.raises(RedefectError, match=r"made-up.toml: .* published = \"2024\" in a section \[dataset\]"):
        package_files(facts, {})


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@settings(max_examples=25)
@given(NAMES)
def test_no_name_becomes_markup_in_what_people_read(made_up: Study, taxonomy: Taxonomy, name: str) -> None:
    hostile = f"[{name}](https://example.org)<b>`|*"
    facts = facts_of(made_up, taxonomy, labels=[{**LABEL, "defect": 1, "annotator": hostile, "source": hostile}])
    parsed = MarkdownIt().enable("table")
    for content in documents(facts, {}).values():
        tokens = [child for token in parsed.parse(content.decode()) for child in [token, *(token.children or [])]]
        assert not [t for t in tokens if t.type in ("html_inline", "html_block")]
        assert all("example.org" not in str(t.attrs.get("href", "")) for t in tokens if t.type == "link_open")


def test_the_archive_unpacks_into_a_folder_of_its_own_and_tells_no_time() -> None:
    files = {"b.txt": b"b", "a/c.txt": b"c"}
    packed = archive("demo-data", files)
    assert packed == archive("demo-data", dict(reversed(files.items())))
    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        assert {entry.filename: opened.read(entry) for entry in opened.infolist()} == {
            "demo-data/a/c.txt": b"c",
            "demo-data/b.txt": b"b",
        }
        assert {(e.date_time, e.create_system, e.external_attr >> 16) for e in opened.infolist()} == {
            ((1980, 1, 1, 0, 0, 0), 3, 0o100644)
        }
