"""The tables of a study: its defects, and all that is computed from them, each with what people are to know when reading it."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from pipeline.analyze.results import Crosstab, Distribution
from pipeline.annotate.agreement import POOLED
from pipeline.annotate.coefficients import COEFFICIENTS
from pipeline.errors import RedefectError
from pipeline.export.table import Column, Kind, Table, columns_of
from pipeline.export.threads import Pseudonyms
from pipeline.openstudy import OpenStudy
from pipeline.study import Study
from pipeline.taxonomy import Facet

_BOOTSTRAP = "Intervals: 95 %, bootstrapped over issues."
_WILSON = "Intervals: 95 %, Wilson's."


def study_tables(study: OpenStudy) -> list[Table]:
    """Return all tables of a study: its defects by reference, distributions, cross tables, tests, findings and agreement."""
    return list(_tables(study))


def study_table(study: OpenStudy, name: str, *, titles: bool = False) -> Table:
    """Return one table of a study.

    Parameters
    ----------
    titles
        Whether the table of defects has titles: see `defect_table`.

    Raises
    ------
    RedefectError
        If there is none of this name.
    """
    if name == "defects":
        return defect_table(study, titles=titles)
    names = []
    for table in _tables(study):
        if table.name == name:
            return table
        names.append(table.name)
    raise RedefectError(f"Study '{study.study.name}' has no table '{name}'; it has {', '.join(names)}.")


def _tables(study: OpenStudy) -> Iterator[Table]:
    """Yield the tables one by one, so that who looks for one does not wait for those after it."""
    yield defect_table(study)
    for wanted in study.study.distributions:
        yield _distribution_table(study, study.distribution(wanted.facet))
    crosstabs = [study.crosstab(wanted.rows, wanted.columns) for wanted in study.study.crosstabs]
    yield from (_crosstab_table(study, table) for table in crosstabs)
    yield _independence_table(study, crosstabs)
    yield _findings_table(study)
    yield _sensitivity_table(study)
    if study.study.reference.figures:
        yield from _figure_tables(study)
    yield from agreement_tables(study)


def defect_table(study: OpenStudy, *, titles: bool = False) -> Table:
    """Return the table of a study's defects.

    Parameters
    ----------
    titles
        Whether to show what their issues are called, too: other people's texts, in which mentions of people are pseudonyms.
    """
    facets = study.taxonomy.defect_facets
    minor = {"framework", "project-type", "same-code", "same-data"}
    columns = [
        Column("repository", kind="name"),
        Column("number", "Issue", "number"),
        Column("defect", "Defect", "number", minor=True),
        Column("url", "Address", "url", minor=True),
        *(Column(f.id, f.title, "category", labels=_labels(f), minor=f.id in minor) for f in facets),
        Column("kind", "Kind of repository", minor=True),
        Column("prototype", "Prototype", "flag", minor=True),
        Column("created_at", "Opened", "date", minor=True),
    ]
    frame = study.defects
    if titles:
        names = Pseudonyms(study.people)
        columns.insert(2, Column("title", "Title"))
        frame = frame.assign(title=frame["title"].map(names.text, na_action="ignore"))
    frame = frame[[column.name for column in columns]]
    return Table("defects", f"The defects of {study.study.title}", frame, tuple(columns), _note(study, len(frame)))


def findings_shown(findings: pd.DataFrame) -> pd.DataFrame:
    """Return the table of findings as it is printed: the interval in one column, in the units of the finding."""

    def interval(row: Any) -> str:
        low, high, support = row.low, row.high, row.support
        if pd.notna(support):
            return f"first in {support:.0%} of resamples"
        if pd.isna(low):
            return ""
        percent = row.reproduced.endswith("%")
        return f"[{low:.1%}, {high:.1%}]" if percent else f"[{low:.3f}, {high:.3f}]"

    return pd.DataFrame(
        {
            "finding": findings["statement"],
            "published": findings["published"],
            "reproduced": findings["reproduced"],
            "n": findings["n"].astype(int),
            "95 % interval": [interval(row) for row in findings.itertuples()],
            "verdict": findings["verdict"] + findings["must_hold"].map({True: " (must hold)", False: ""}),
        }
    )


def agreement_tables(study: OpenStudy, other: Study | None = None) -> list[Table]:
    """Return the tables of annotators' agreement that have rows.

    Parameters
    ----------
    other
        The study whose verdict annotators are compared with, instead of this study's own.
    """
    facets = {facet.id: facet.title for facet in study.taxonomy.facets} | {POOLED: "All, pooled"}
    facet = Column("facet", "Facet", labels=facets)
    agreement, verdict = study.agreement(), study.agreement_with_verdict(other)
    choices, drift = study.agreement_choices(), study.drift()
    of, said = ("round", "matched", "compared", "annotators"), _note(study, None, _BOOTSTRAP)

    def wide(name: str, caption: str, frame: pd.DataFrame, groups: tuple[str, ...], value: str = "value") -> Table:
        shown, columns = _by_coefficient(frame, [*groups, "facet", *(["n"] if "n" in frame else [])], value)
        printed = Table(name, caption, shown, (*map(Column, groups), facet, *columns), said, groups)
        return Table(name, caption, frame, note=said, printed=printed)

    profiles, leanings, shifts = study.rater_profiles(), study.rater_leanings(), study.rater_shifts()
    clear = leanings[(leanings["low"] > 0) | (leanings["high"] < 0)]
    named = clear.assign(category=[_category(study, f, c) for f, c in zip(clear["facet"], clear["category"], strict=True)])
    made = [
        wide("agreement", "Agreement of annotators", agreement, of),
        _history_table(study, agreement, facet, said),
        wide(
            "agreement-with-verdict", f"Agreement of annotators with the verdict of {(other or study.study).name}", verdict, of
        ),
        wide("agreement-choices", "Change of agreement by how labels are compared", choices, ("round", "choice"), "change"),
        wide(
            "agreement-drift", "Change of agreement from round to round", drift, ("before_round", "after_round"), "change"
        ),
        Table(
            "raters",
            "Raters beside each other",
            profiles,
            (
                Column("round"), Column("annotator"), facet, Column("n", kind="count"),
                Column("entropy", "Entropy, bits", "coefficient"), Column("others_entropy", "Others' entropy", "coefficient"),
                Column("kappa", "Mean kappa", "coefficient", ("low", "high")), Column("final_n", "Final labels", "count"),
                Column("final", "As the final", "share", ("final_low", "final_high")),
                Column("suggested_n", "Suggestions", "count"),
                Column("followed", "Followed", "share", ("followed_low", "followed_high")),
            ),
            _note(study, None, "Intervals: 95 %, of kappa bootstrapped over issues, of shares Wilson's."),
            ("round", "annotator"),
        ),
        Table(
            "rater-leanings",
            "Categories by which raters differ",
            leanings,
            note=said,
            printed=Table(
                "rater-leanings",
                "Categories by which raters differ",
                named.sort_values(
                    ["round", "annotator", "facet", "difference"], key=lambda v: -v.abs() if v.name == "difference" else v,
                    kind="stable", ignore_index=True,
                ),
                (
                    Column("round"), Column("annotator"), facet, Column("category", "Category"), Column("n", kind="count"),
                    Column("share", "Share", "share"), Column("others", "Of the others", "share"),
                    Column("difference", "Difference", "points", ("low", "high")),
                ),
                _note(study, None, _BOOTSTRAP, "Only differences whose interval is clear of 0."),
                ("round", "annotator"),
            ),
        ),
        Table(
            "rater-shifts",
            "Raters beside themselves in the round before",
            shifts,
            (
                Column("annotator"), Column("before_round", "Before"), Column("after_round", "After"), facet,
                Column("n", kind="count"), Column("kept", "Kept", "share", ("low", "high")),
                Column("shift", "Shift", "coefficient"), Column("p", kind="p"),
            ),
            _note(study, None, _WILSON, "Shift: total variation distance; p of a permutation test."),
            ("annotator", "before_round", "after_round"),
        ),
    ]  # fmt: skip
    return [table for table in made if len(table.frame) or table.name == "agreement"]


def _distribution_table(study: OpenStudy, d: Distribution) -> Table:
    columns = (
        Column("category", d.facet.title, "category", labels=_labels(d.facet)), Column("n", kind="count"),
        Column("share", "Share", "share", ("low", "high")),
    )  # fmt: skip
    without = f"{d.missing:,} more are without an answer." if d.missing else ""
    caption = f"{d.facet.title}: how often each category occurs"
    return Table(f"distribution-{d.facet.id}", caption, d.frame, columns, _note(study, d.n, without, _WILSON))


def _crosstab_table(study: OpenStudy, t: Crosstab) -> Table:
    down, across, counts = t.rows, t.columns, t.counts
    if counts.shape[1] > counts.shape[0]:
        down, across, counts = across, down, counts.T  # a page is higher than it is wide
    shown = counts.assign(total=counts.sum(axis=1))
    shown.loc["total"] = shown.sum()
    shown = shown.rename_axis(index=None, columns=None).rename_axis(index=down.id).reset_index()
    columns = (
        Column(down.id, down.title, "category", labels=_labels(down) | {"total": "Total"}),
        *(Column(c, across.label(c), "count") for c in counts.columns),
        Column("total", "Total", "count"),
    )
    name, caption = f"crosstab-{t.rows.id}-{t.columns.id}", f"{t.columns.title} by {t.rows.title.lower()}"
    note = _note(study, t.n, f"Test of independence: {t.independence}.")
    cells = (
        Column("row", t.rows.title, "category", labels=_labels(t.rows)),
        Column("column", t.columns.title, "category", labels=_labels(t.columns)),
    )
    return Table(
        name, caption, t.cells, (*cells, *columns_of(t.cells)[4:]), note, printed=Table(name, caption, shown, columns, note)
    )


def _independence_table(study: OpenStudy, crosstabs: list[Crosstab]) -> Table:
    tests = [(t.rows.id, t.columns.id, t.n, t.independence) for t in crosstabs]
    frame = pd.DataFrame(
        [(*who, i.chi2, i.freedom, i.p, i.permutations, i.v, i.v_low, i.v_high) for *who, i in tests],
        columns=["rows", "columns", "n", "chi2", "freedom", "p", "permutations", "v", "v_low", "v_high"],
    )
    facets = {facet.id: facet.title for facet in study.taxonomy.facets}
    columns = (
        Column("rows", "Facet", labels=facets), Column("columns", "By", labels=facets), Column("n", kind="count"),
        Column("chi2", "χ²", "statistic"), Column("freedom", "Degrees of freedom", "count"), Column("p", kind="p"),
        Column("v", "Cramér's V", "coefficient", ("v_low", "v_high")),
    )  # fmt: skip
    note = _note(study, None, "p of a permutation test. Intervals: 95 %, of the noncentral χ² distribution.")
    return Table("independence", "Association of facets", frame, columns, note)


def _findings_table(study: OpenStudy) -> Table:
    findings = study.findings()
    shown = findings_shown(findings)
    columns = (
        Column("finding"), Column("published", kind="name"), Column("reproduced", kind="name"), Column("n", kind="count"),
        Column("95 % interval", kind="name"), Column("verdict"),
    )  # fmt: skip
    caption, note = "Published findings beside those reproduced", _note(study, None)
    return Table("findings", caption, findings, note=note, printed=Table("findings", caption, shown, columns, note))


def _sensitivity_table(study: OpenStudy) -> Table:
    statements = dict(zip(*(study.findings()[name] for name in ("id", "statement")), strict=True))
    columns = (
        Column("id", "Finding", labels=statements), Column("choice"), Column("n", kind="count"),
        Column("share", "Share", "share", ("low", "high")),
    )  # fmt: skip
    note = _note(study, None, _WILSON)
    return Table("sensitivity", "Shares among the findings under other choices", study.sensitivity(), columns, note, ("id",))


def _figure_tables(study: OpenStudy) -> list[Table]:
    cells, differences = study.figure_cells(), study.figure_differences()
    of = {figure.name: figure for figure in study.study.figures}
    shown = cells.assign(
        row=[_category(study, of[f].rows if f in of else "", c) for f, c in zip(cells["figure"], cells["row"], strict=True)],
        column=[
            _category(study, of[f].columns if f in of else "", c) for f, c in zip(cells["figure"], cells["column"], strict=True)
        ],
        figure=[f.replace("figure-0", "Figure ").replace("figure-", "Figure ") for f in cells["figure"]],
    )
    columns = (
        Column("figure"), Column("row"), Column("column"), Column("published", kind="count"), Column("reproduced", kind="count"),
        Column("difference", kind="count"),
    )  # fmt: skip
    caption, note = "Cells of the published figures beside those reproduced", _note(study, len(study.defects))
    printed = Table("figure-cells", caption, shown, columns, note, ("figure",))
    return [
        Table("figure-cells", caption, cells, note=note, printed=printed),
        Table("figure-differences", "Where published figures and published data differ", differences, note=_note(study, None)),
    ]


def _history_table(study: OpenStudy, agreement: pd.DataFrame, facet: Column, said: str) -> Table:
    """Return agreement as a study reports it: of two annotators Cohen's kappa, of more Krippendorff's alpha."""
    two = agreement["annotators"].str.count(", ") == 1
    chosen = agreement[(agreement["coefficient"] == two.map({True: "cohen", False: "krippendorff"}))].reset_index(drop=True)
    columns = (
        Column("round"), Column("matched"), Column("compared"), Column("coefficient", labels=COEFFICIENTS), facet,
        Column("n", kind="count"), Column("value", "Agreement", "coefficient", ("low", "high")),
    )  # fmt: skip
    groups = ("round", "matched", "compared", "coefficient")
    return Table("agreement-history", "Agreement of annotators by round", chosen, columns, said, groups)


def _by_coefficient(frame: pd.DataFrame, keys: list[str], value: str) -> tuple[pd.DataFrame, list[Column]]:
    """Return a row for each combination of keys, a coefficient's estimate and its bounds in columns."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    names = list(dict.fromkeys(frame["coefficient"]))
    for row in frame.to_dict("records"):
        name = row["coefficient"]
        of = rows.setdefault(tuple(row[key] for key in keys), {})
        of |= {name: row[value], f"{name}_low": row["low"], f"{name}_high": row["high"]}
    shown = pd.DataFrame(
        [dict(zip(keys, key, strict=True)) | of for key, of in rows.items()],
        columns=[*keys, *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))],
    )
    kind: Kind = "change" if value == "change" else "coefficient"
    n = [Column("n", kind="count")] if "n" in keys else []
    return shown, [*n, *(Column(c, COEFFICIENTS[c], kind, (f"{c}_low", f"{c}_high")) for c in names)]


def _note(study: OpenStudy, n: int | None, *more: str) -> str:
    size = "" if n is None else f"n = {n:,} defects."
    fiction = f"{study.note.capitalize()}." if study.note else ""
    return " ".join(filter(None, [size, *more, f"Date of the data: {study.date_of_data}.", fiction]))


def _labels(facet: Facet) -> dict[str, str]:
    return {category.id: category.label for category in facet.values}


def _category(study: OpenStudy, facet: str, category: str) -> str:
    known = {of.id: _labels(of) for of in study.taxonomy.facets}
    return known.get(facet, {}).get(category, category)
