"""A table of a paper: exact values under names for programs, and how each column is written for people."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, cast

import pandas as pd

from pipeline.errors import RedefectError
from pipeline.numerals import STYLES, NumberKind, written

Kind = NumberKind | Literal["text", "name", "category", "url", "date", "flag"]
Format = Literal["latex", "csv", "markdown", "html", "excel", "parquet"]

EXTENSIONS: dict[Format, str] = {
    "latex": "tex", "csv": "csv", "markdown": "md", "html": "html", "excel": "xlsx", "parquet": "parquet",
}  # fmt: skip
DATA: frozenset[Format] = frozenset(("csv", "parquet"))
"""The formats that programs read: they hold all columns under their names, and values as they are."""

_KINDS: dict[str, Kind] = {
    "share": "share", "naive": "share", "corrected": "share", "precision": "share", "recall": "share", "coverage": "share",
    "right": "share", "sure": "share", "accuracy": "share", "kept": "share", "others": "share", "support": "share",
    "number": "number", "defect": "number", "url": "url", "p": "p", "chi2": "statistic", "difference": "change",
    "change": "change", "gain": "change", "repository": "name",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is printed.

    Attributes
    ----------
    name
        Of the frame's column.
    heading
        What people call it; else its name.
    kind
        How its values are written.
    interval
        The frame's columns that hold the bounds of its values' 95 % intervals.
    labels
        What people call its values, where they have names of their own for programs; in their order.
    minor
        Whether a printed page, which is narrow, does without it unless somebody asks for it.
    """

    name: str
    heading: str = ""
    kind: Kind = "text"
    interval: tuple[str, str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    minor: bool = False

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers."""
        return self.kind in STYLES

    @property
    def title(self) -> str:
        """Its heading, with its unit."""
        heading = self.heading or self.name.replace("_", " ")
        heading = heading[:1].upper() + heading[1:] if len(heading) > 1 and heading.isascii() else heading
        unit = STYLES[cast(NumberKind, self.kind)].unit if self.numeric else ""
        return f"{heading} ({unit})" if unit else heading

    def text(self, value: Any) -> str:
        """Return a value as it is written; empty if there is none."""
        if not isinstance(value, str) and pd.isna(value):
            return ""
        if self.numeric:
            return written(float(value), cast(NumberKind, self.kind))
        if self.kind == "flag":
            return "yes" if value else "no"
        if self.kind == "date":
            return f"{value:%Y-%m-%d}"
        return self.labels.get(str(value), str(value))


@dataclass(frozen=True)
class Table:
    """A table of a paper.

    Attributes
    ----------
    name
        What its files are called.
    caption
        What it shows, in a phrase.
    frame
        Values as they are, under names for programs.
    columns
        Those that people see, in their order; by default all, their kinds told by their names and types.
    note
        What to know when reading it: of how many, of when.
    groups
        Columns whose values stand as headings between rows, in place of columns.
    printed
        The table that stands for this one where people read it, if rows or columns are other ones there.
    shortened
        Whether minor columns may be left out of a page.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    columns: tuple[Column, ...] = ()
    note: str = ""
    groups: tuple[str, ...] = ()
    printed: Self | None = None
    shortened: bool = True

    def __post_init__(self) -> None:
        if not self.columns:
            object.__setattr__(self, "columns", columns_of(self.frame))

    def to_bytes(self, form: Format) -> bytes:
        """Return the table in a format, the same bytes each time."""
        from pipeline.export import latex, table_files  # here: workbooks and Parquet take a while to load

        if form in DATA:
            return table_files.csv(self) if form == "csv" else table_files.parquet(self)
        shown = self.as_printed
        if form == "latex":
            return latex.table(shown)
        return {"markdown": table_files.markdown, "html": table_files.html, "excel": table_files.excel}[form](shown)

    @property
    def as_printed(self) -> Self:
        """The table that people see."""
        return self if self.printed is None else self.printed

    def in_form(self, form: Format) -> Self:
        """Return the table that a format shows."""
        return replace(self, printed=None) if form in DATA else self.as_printed

    @property
    def body(self) -> tuple[Column, ...]:
        """The printed columns that are no headings between rows."""
        return tuple(column for column in self.columns if column.name not in self.groups)

    def parts(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield the rows under each heading, and the heading; all of them under an empty one if there are no groups."""
        if not self.groups:
            yield "", self.frame
            return
        columns = [self.column(name) for name in self.groups]
        keys = list(zip(*([column.text(value) for value in self.frame[column.name]] for column in columns), strict=True))
        kept = [column.title for column in columns if column.kind in ("flag", "count", "number")]
        for key in dict.fromkeys(keys):
            said = [f"{c.title}: {text}" if c.title in kept else text for c, text in zip(columns, key, strict=True)]
            yield ", ".join(filter(None, said)), self.frame[[other == key for other in keys]]

    def column(self, name: str) -> Column:
        """Return the printed column of a name or heading, or what one of the frame would be.

        Raises
        ------
        RedefectError
            If there is none.
        """
        for column in self.columns:
            if name in (column.name, column.heading, column.title):
                return column
        if name in self.frame.columns:
            return column_of(self.frame, name)
        raise RedefectError(f"Table '{self.name}' has no column '{name}'; it has {', '.join(map(str, self._names))}.")

    @property
    def _names(self) -> list[str]:
        return list(dict.fromkeys([*(column.name for column in self.columns), *map(str, self.frame.columns)]))

    def select(
        self,
        columns: Sequence[str] = (),
        where: Sequence[str] = (),
        sort: Sequence[str] = (),
        by: Sequence[str] = (),
        rows: int | None = None,
        rename: Sequence[str] = (),
    ) -> Self:
        """Return the table with a choice of rows and columns.

        Parameters
        ----------
        columns
            Names or headings of those to keep, in their order; by default all.
        where
            `column=value` each: rows to keep. A value is what the data hold or what people read. Several of one column are
            alternatives, those of several columns all hold.
        sort
            Columns to sort by; from the largest, with `-` before.
        by
            Columns whose values become headings between rows.
        rows
            How many to keep.
        rename
            `column=heading` each.

        Raises
        ------
        RedefectError
            If there is no such column, or no such value in it.
        """
        frame, said = self.frame, []
        wanted: dict[str, tuple[Column, list[str]]] = {}
        for condition in where:
            name, value = _pair(condition, "where")
            column = self.column(name)
            wanted.setdefault(column.name, (column, []))[1].append(value)
        for name, (column, values) in wanted.items():
            known = {_folded(str(v)): str(v) for v in self.frame[name].dropna().unique()}
            spelled = known | {_folded(column.text(v)): str(v) for v in self.frame[name].dropna().unique()}
            for value in values:
                if _folded(value) not in spelled and _folded(value) not in map(
                    _folded, [*column.labels, *column.labels.values()]
                ):
                    there = sorted(known.values())
                    more = f" and {len(there) - 20} more" if len(there) > 20 else ""
                    raise RedefectError(
                        f"Column '{column.name}' of table '{self.name}' has no '{value}'; it has {', '.join(there[:20])}{more}."
                    )
            kept = {spelled.get(_folded(value)) for value in values}
            frame = frame[[not pd.isna(v) and str(v) in kept for v in frame[name]]]
            names = {_folded(label): label for label in column.labels.values()}
            shown = [names.get(_folded(v), column.labels.get(v, v)) for v in values]
            said.append(f"{column.title.lower()}: {' or '.join(shown)}")
        for name in reversed(sort):
            column = self.column(name.removeprefix("-") if not self._has(name) else name)
            frame = frame.sort_values(
                column.name, ascending=self._has(name) or not name.startswith("-"), kind="stable",
                key=lambda values: values.str.casefold() if pd.api.types.is_string_dtype(values) else values,
            )  # fmt: skip
        if by:
            order = [self.column(name).name for name in by]
            frame = frame.sort_values(order, kind="stable")
        total = len(self.frame)
        if rows is not None:
            frame = frame.head(rows)
        chosen = [self.column(name) for name in columns] if columns else list(self.columns)
        headings = {self.column(name).name: heading for name, heading in (_pair(text, "rename") for text in rename)}
        groups = tuple(self.column(name).name for name in by) if by else tuple(g for g in self.groups if not columns)
        chosen = [*(self.column(name) for name in groups if name not in {c.name for c in chosen}), *chosen]
        chosen = [replace(column, heading=headings.get(column.name, column.heading)) for column in chosen]
        if len(frame) < total:
            said.insert(0, f"{len(frame):,} of {total:,} rows")
        note = " ".join(filter(None, [self.note, f"Shown: {'; '.join(said)}." if said else ""]))
        if columns:
            names_kept = [name for column in chosen for name in (column.name, *(column.interval or ()))]
            frame = frame[list(dict.fromkeys(names_kept))]
        return replace(
            self, frame=frame.reset_index(drop=True), columns=tuple(chosen), note=note, groups=groups,
            shortened=self.shortened and not columns,
        )  # fmt: skip

    def _has(self, name: str) -> bool:
        return name in self._names


def files(tables: Iterable[Table], forms: Collection[Format] = ("csv", "latex")) -> dict[str, bytes]:
    """Return tables as files, each in all of the formats, with what LaTeX needs beside them."""
    from pipeline.export.latex import STYLE_FILE, style_file

    made = {f"{table.name}.{EXTENSIONS[form]}": table.to_bytes(form) for table in tables for form in forms}
    return made | ({STYLE_FILE: style_file()} if "latex" in forms else {})


def columns_of(frame: pd.DataFrame) -> tuple[Column, ...]:
    """Return a frame's columns as they are printed, bounds of intervals beside what they belong to."""
    names = [str(name) for name in frame.columns]
    bounds = {
        before: (low, high)
        for before, low, high in zip(names, names[1:], names[2:], strict=False)
        if low.endswith("low") and high == low.removesuffix("low") + "high" and pd.api.types.is_numeric_dtype(frame[before])
    }
    inner = {name for pair in bounds.values() for name in pair}
    return tuple(replace(column_of(frame, name), interval=bounds.get(name)) for name in names if name not in inner)


def column_of(frame: pd.DataFrame, name: str) -> Column:
    """Return a frame's column as it is printed, its kind told by its name and type."""
    values = frame[name]
    if pd.api.types.is_bool_dtype(values):
        return Column(name, kind="flag")
    if pd.api.types.is_datetime64_any_dtype(values):
        return Column(name, kind="date")
    if pd.api.types.is_numeric_dtype(values):
        told = _KINDS.get(name)
        return Column(name, kind=told if told in STYLES else "count" if pd.api.types.is_integer_dtype(values) else "coefficient")
    told = _KINDS.get(name, "text")
    return Column(name, kind="text" if told in STYLES else told)


def _pair(text: str, option: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not (name and found):
        raise RedefectError(f"--{option}: '{text}' is no COLUMN=VALUE.")
    return name, value


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
