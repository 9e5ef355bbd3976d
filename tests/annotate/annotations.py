"""Anything that an annotator may say by a taxonomy, for properties of the tools that carry it."""

from hypothesis import strategies as st

from pipeline.annotate.annotation import Annotation, Answers, Task, Worksheet
from pipeline.facts import IssueReference
from pipeline.taxonomy import Facet, Taxonomy

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
"""What the store can hold; a tool whose files hold less takes a strategy of its own."""

ISSUES = st.builds(IssueReference, st.from_regex(r"[a-z]{1,3}/[A-Za-z0-9._-]{1,4}", fullmatch=True), st.integers(1, 2**31 - 1))


def answers(facets: list[Facet]) -> st.SearchStrategy[Answers]:
    """An answer to each question."""
    return st.fixed_dictionaries({facet.id: st.sampled_from([c.id for c in facet.choices]) for facet in facets})


def suggestions(taxonomy: Taxonomy) -> st.SearchStrategy[Answers]:
    """What a machine may say of an issue and its first defect: to any of the questions."""
    return st.fixed_dictionaries({}, optional={f.id: st.sampled_from([c.id for c in f.choices]) for f in taxonomy.facets})


@st.composite
def annotations(
    draw: st.DrawFn,
    taxonomy: Taxonomy,
    text: st.SearchStrategy[str] = TEXT,
    issues: st.SearchStrategy[IssueReference] = ISSUES,
    annotator: str = "ada",
    round_: str = "pilot",
) -> Annotation:
    """All that the taxonomy allows: an issue without defect, or one with one to five."""
    of_issue = draw(answers(taxonomy.issue_facets))
    final = any(c.final for f in taxonomy.issue_facets for c in f.choices if c.id == of_issue[f.id])
    defects = [] if final else draw(st.lists(answers(taxonomy.defect_facets), min_size=1, max_size=5))
    return Annotation(
        issue=draw(issues),
        annotator=annotator,
        round=round_,
        answers=of_issue,
        defects=tuple(defects),
        discuss=draw(st.booleans()),
        slow=draw(st.booleans()),
        translated=draw(text),
        note=draw(text),
        suggested=draw(st.just({}) | suggestions(taxonomy)),
    )


@st.composite
def worksheets(
    draw: st.DrawFn, taxonomy: Taxonomy, text: st.SearchStrategy[str] = TEXT, annotator: str = "ada", round_: str = "pilot"
) -> Worksheet:
    """Worksheets that are all filled in, with what the annotator saw suggested."""
    done = draw(
        st.lists(annotations(taxonomy, text, annotator=annotator, round_=round_), max_size=4, unique_by=lambda a: a.issue)
    )
    tasks = [
        Task(a.issue, annotation=a, suggested={facet: (category, 0.5) for facet, category in a.suggested.items()}) for a in done
    ]
    return Worksheet("demo", "first", round_, annotator, taxonomy, tuple(tasks))
