import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from conftest import CHECKOUT, make_root
from lxml import html

from pipeline.browsing import copy_to_browse, datasette, serve
from pipeline.errors import RedefectError
from pipeline.export.browse import metadata
from pipeline.importing import import_study, import_threads
from pipeline.openstudy import OpenStudy
from pipeline.store.session import Store
from pipeline.study import Study, read_study
from pipeline.thread import Comment, Thread

DEMO = read_study(CHECKOUT / "data" / "studies" / "demo.toml")
QUERIES = sorted(metadata(DEMO, DEMO.read_taxonomy())["databases"]["demo"]["queries"])
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><b onmouseover=alert(1)>"
HOSTILE = Thread(
    repository="harrowmere/tf-atelier",
    number=99_001,
    title=f"Zugzwang {SCRIPT}",
    body="javascript:alert(1)",
    author="eve<script>",
    state="closed",
    comments=(Comment(author="eve<script>", body=f"Zugzwang again {SCRIPT} $\\input{{x}}$ \x1b]0;x\x07"),),
)


class Site:
    """Datasette on a study's copy, asked in this process."""

    def __init__(self, study: Study) -> None:
        self._site = datasette(study, copy_to_browse(study, str(study.database))[0])

    def get(self, path: str) -> tuple[int, str]:
        async def ask() -> tuple[int, str]:
            await self._site.invoke_startup()
            answer = await self._site.client.get(path)
            return answer.status_code, answer.text

        return asyncio.run(ask())

    def rows(self, path: str) -> list[dict[str, object]]:
        status, text = self.get(f"{path}{'&' if '?' in path else '?'}_shape=array")
        assert status == 200, text
        rows: list[dict[str, object]] = json.loads(text)
        return rows


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The demo study with one more thread, whose every text is hostile."""
    root = make_root(tmp_path_factory.mktemp("browsing") / "root")
    study = read_study(root / "data" / "studies" / "demo.toml")
    hostile = root / "hostile.jsonl"
    hostile.write_text(HOSTILE.to_json() + "\n")
    store = Store(str(study.database))
    import_threads(store, root / "data" / "demo" / "threads", "demo")
    import_threads(store, hostile, "hostile")
    import_study(store, study)
    store.close()
    return study


@pytest.fixture(scope="module")
def site(study: Study) -> Site:
    return Site(study)


@pytest.mark.parametrize(
    "path", ["/", "/demo", "/demo/defect", "/demo/issue?_search=cuda", "/demo/label?facet=stage", "/demo/issue/1"]
)
def test_pages_are_there(site: Site, path: str) -> None:
    assert site.get(path)[0] == 200


def test_home_tells_what_it_shows_and_that_it_is_fictional(site: Site) -> None:
    page = " ".join(html.document_fromstring(site.get("/demo")[1]).text_content().split())
    assert "Demo (fictional)" in page
    assert "All of it is fictional, and its links lead nowhere." in page
    assert "Data source: invented for this project" in page


@pytest.mark.parametrize("query", QUERIES)
def test_each_query_answers(site: Site, query: str) -> None:
    status, page = site.get(f"/demo/{query}?words=cuda")
    assert status == 200
    assert "Invalid SQL" not in page


def test_facets_count_as_the_study_does(site: Site, demo: OpenStudy) -> None:
    facets = json.loads(site.get("/demo/defect.json?_size=0")[1])["facet_results"]
    counted = demo.distribution("stage").frame
    found = {result["value"]: result["count"] for result in facets["stage"]["results"]}
    assert found == dict(zip(counted["category"], counted["n"], strict=True))


def test_cross_tables_are_those_of_the_study(site: Site, demo: OpenStudy) -> None:
    labelled = demo.crosstab("stage", "symptom").labelled()
    for row in site.rows("/demo/stage-by-symptom.json"):
        of_stage = labelled.loc[str(row.pop("Stage"))]
        assert row.pop("All") == of_stage["Total"]
        assert {label: n for label, n in row.items() if n} == {label: n for label, n in of_stage[:-1].items() if n}


def test_search_finds_words_in_titles_texts_and_comments(site: Site) -> None:
    found = site.rows("/demo/search.json?words=zugzwang")
    assert sorted(str(row["place"]) for row in found) == ["comment 1", "title or text"]
    assert {row["reference"] for row in found} == {"harrowmere/tf-atelier#99001"}
    assert "[Zugzwang]" in str(found[0]["passage"])


@pytest.mark.parametrize("words", ["", "%22", "don't+AND+(", "*", "NEAR(", "a:b"])
def test_search_takes_any_words(site: Site, words: str) -> None:
    site.rows(f"/demo/search.json?words={words}")


def test_disagreements_are_of_two_annotators_who_say_different_things(site: Site) -> None:
    rows = site.rows("/demo/disagreements.json")
    assert len(rows) == 211
    assert all(row["says"] != row["says otherwise"] and str(row["one"]) < str(row["other"]) for row in rows)


@pytest.mark.parametrize(
    "path",
    [
        "/demo/issue?number=99001",
        "/demo/search?words=zugzwang",
        "/demo/comment?_search=zugzwang",
        "/demo/issue/{}",
        "/demo/issue?_facet=title&number=99001",
    ],
)
def test_hostile_texts_are_shown_and_never_run(site: Site, path: str) -> None:
    (issue,) = site.rows("/demo/issue.json?number=99001")
    status, page = site.get(path.format(issue["id"]))
    assert status == 200
    tree = html.document_fromstring(page)
    assert "<script>alert(1)</script>" in tree.text_content()
    assert not [script for script in tree.iter("script") if "alert" in (script.text or "")]
    assert tree.xpath("//img[@src='x'] | //*[@onerror] | //b[@onmouseover]") == []
    assert [link for link in tree.xpath("//@href") if link.strip().lower().startswith(("javascript:", "data:"))] == []
    assert "\x1b" not in page


def test_nothing_can_be_written_or_taken_away(site: Site) -> None:
    assert site.get("/demo.db")[0] == 403
    for sql in ("delete+from+issue", "insert+into+model+values(1,2,3,4)", "attach+'x'+as+x", "pragma+journal_mode=wal"):
        assert site.get(f"/demo?sql={sql}")[0] == 400
    assert site.rows("/demo.json?sql=select+count(*)+as+n+from+issue") == [{"n": 169}]


def test_the_copy_is_made_anew_when_the_store_has_changed_only(root: Path) -> None:
    study = read_study(root / "data" / "studies" / "demo.toml")
    store = Store(str(study.database))
    import_study(store, study)
    store.close()
    path, new = copy_to_browse(study, str(study.database))
    assert new
    assert copy_to_browse(study, f"sqlite:///{study.database}") == (path, False)
    store = Store(str(study.database))
    import_threads(store, root / "data" / "demo" / "threads", "demo")
    store.close()
    assert copy_to_browse(study, str(study.database)) == (path, True)
    assert {file.name for file in path.parent.iterdir()} == {"demo.sqlite", "made-from.json"}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_store_on_a_server_is_copied_anew_each_time(root: Path, store: Store, database: str) -> None:
    study = read_study(root / "data" / "studies" / "demo.toml")
    import_threads(store, root / "data" / "demo" / "threads", "demo")
    import_study(store, study)
    assert copy_to_browse(study, database)[1]
    path, again = copy_to_browse(study, database)
    assert again
    import_threads(Store(str(study.database)), root / "data" / "demo" / "threads", "demo")
    import_study(Store(str(study.database)), study)
    beside = path.read_bytes()
    assert copy_to_browse(study, str(study.database)) == (path, True)
    assert path.read_bytes() == beside  # the same copy as from a SQLite file


def test_a_store_that_cannot_be_browsed_is_named_in_a_sentence_and_none_is_made(root: Path) -> None:
    study = read_study(root / "data" / "studies" / "demo.toml")
    with pytest.raises(RedefectError, match="The database holds nothing of study 'demo' yet; run `make STUDY=demo` first."):
        copy_to_browse(study, str(study.database))
    assert not study.database.exists()
    Store(str(study.database)).close()
    with pytest.raises(RedefectError, match="holds nothing of study 'demo' yet"):
        copy_to_browse(study, str(study.database))
    assert not list(study.build.rglob("demo.sqlite"))


@pytest.fixture
def served(study: Study) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The command as a process of its own, and the address that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "browse", "--study", str(study.path), "--port", "0", "--no-open"],
        cwd=study.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    address = next(found[0] for line in lines if (found := re.match(r"http://127\.0\.0\.1:\d+", line)))
    yield address, process
    process.kill()
    process.communicate()


def test_the_command_serves_on_this_machine_until_it_is_interrupted(
    served: tuple[str, "subprocess.Popen[str]"], study: Study
) -> None:
    address, process = served
    before = study.database.read_bytes()
    with requests.Session() as session:
        assert session.get(f"{address}/demo/search?words=cuda", timeout=10).status_code == 200
        assert session.get(f"{address}/demo.db", timeout=10).status_code == 403
        assert session.get(f"{address}/demo?sql=drop+table+issue", timeout=10).status_code == 400
        for method in ("POST", "PUT", "DELETE"):
            assert session.request(method, f"{address}/demo/issue", timeout=10).status_code == 405
        assert session.get(address, headers={"Host": "evil.example"}, timeout=10).status_code == 403
    with pytest.raises(RedefectError, match=r"Port \d+ cannot be used \(Address already in use\); give another by --port."):
        serve(datasette(study, copy_to_browse(study, str(study.database))[0]), int(address.rpartition(":")[2]), print)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, "Ended.\n")
    assert err == ""
    assert study.database.read_bytes() == before
