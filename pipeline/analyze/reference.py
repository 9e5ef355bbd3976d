"""Published values to compare with: findings, and the cells of figures. Facts, with their source, in `data/reference/`."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from pipeline.documents import Document, Location
from pipeline.taxonomy import Where


class Finding(Document):
    """A published statement in our words, and whether it must hold."""

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    statement: str
    source: str
    must_hold: bool = False


class CountFinding(Finding):
    """How many there are of a unit that match `of`."""

    compute: Literal["count"]
    unit: Literal["defect", "issue", "repository", "sampled issue"]
    of: Where = {}
    published: int


class ShareFinding(Finding):
    """Which share of the defects that match `among` match `of` too."""

    compute: Literal["share"]
    of: Where = Field(min_length=1)
    among: Where = {}
    published: float = Field(ge=0, le=1)
    tolerance: float = Field(ge=0)


class DiversityFinding(Finding):
    """In which category of `by` the categories of `facet` are most evenly spread (normalised Shannon entropy)."""

    compute: Literal["most diverse"]
    facet: str
    by: str
    published: str


class KappaFinding(Finding):
    """Cohen's kappa of a round of the raters' sheets, pooled over facets; `row_index` pools the sheets' row index with them."""

    compute: Literal["pooled kappa"]
    round: str
    row_index: bool = False
    published: float = Field(ge=-1, le=1)
    tolerance: float = Field(ge=0)


AnyFinding = Annotated[CountFinding | ShareFinding | DiversityFinding | KappaFinding, Field(discriminator="compute")]


class Findings(Document):
    """The findings of a study."""

    findings: list[AnyFinding]

    def contradictions(self) -> Iterator[tuple[Location, str]]:
        """Yield findings whose id is taken."""
        seen: set[str] = set()
        for i, finding in enumerate(self.findings):
            if finding.id in seen:
                yield ("findings", i, "id"), f"'{finding.id}' stands twice; give each finding its own id."
            seen.add(finding.id)


class PublishedFigure(Document):
    """The cells of a published figure, under the labels that it uses."""

    name: str
    rows: str
    columns: str
    column_labels: list[str]
    cells: dict[str, list[int]]


class PublishedFigures(Document):
    """The figures of a study."""

    source: str
    figures: list[PublishedFigure]

    def contradictions(self) -> Iterator[tuple[Location, str]]:
        """Yield rows that do not have a number for each column."""
        for i, figure in enumerate(self.figures):
            for row, numbers in figure.cells.items():
                if len(numbers) != len(figure.column_labels):
                    yield (
                        ("figures", i, "cells", row),
                        f"has {len(numbers)} numbers for {len(figure.column_labels)} columns; give one a column.",
                    )
