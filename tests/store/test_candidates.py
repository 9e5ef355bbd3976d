from datetime import UTC, datetime

from sqlalchemy import text

from pipeline.facts import IssueReference, Label, RepositoryFacts
from pipeline.selection import Candidate, CandidateRepository
from pipeline.store import write
from pipeline.store.candidates import candidates
from pipeline.store.session import Store
from pipeline.thread import Comment, Thread

TIME = datetime(2020, 1, 31, 12, tzinfo=UTC)


def test_a_candidate_is_what_the_store_knows_of_an_issue(store: Store) -> None:
    full = Thread(
        repository="a/b", number=1, title="t", state="closed", created_at=TIME, fix="a/b#2", labels=("bug",),
        comments=(Comment(body="1"), Comment(body="2")),
    )  # fmt: skip
    with store.writing() as connection:
        write.put_threads(connection, [full, Thread(repository="A/B", number=2, title="u")], "x")
        write.put_repositories(connection, [RepositoryFacts("a/b", kind="zoo", architecture="GAN")], "x")
        connection.execute(text("UPDATE repository SET stars = 7, closed_issues = 3"))
        connection.execute(text("UPDATE issue SET pull_request = TRUE WHERE number = 2"))
        assert candidates(connection) == (
            [CandidateRepository("a/b", "zoo", "GAN", 7, 3)],
            [
                Candidate(IssueReference("a/b", 1), False, "closed", TIME, 2, ("bug",), "a/b#2"),
                Candidate(IssueReference("a/b", 2), True),
            ],
        )


def test_an_issue_known_only_by_a_label_is_no_candidate_nor_is_its_repository(store: Store) -> None:
    label = Label(IssueReference("a/b", 1), 1, "symptom", "crash", "Crash", "me", "final")
    with store.writing() as connection:
        write.put_labels(connection, [label], "file")
        assert candidates(connection) == ([], [])


def test_candidates_keep_to_the_repositories_that_are_named_whatever_their_case(store: Store) -> None:
    with store.writing() as connection:
        write.put_threads(connection, [Thread(repository=name, number=1, title="t") for name in ("a/b", "C/d", "e/f")], "x")
        repositories, issues = candidates(connection, ["c/D", "E/F", "no/ne"])
    assert sorted(r.name for r in repositories) == ["C/d", "e/f"]
    assert sorted(c.issue.repository for c in issues) == ["C/d", "e/f"]
