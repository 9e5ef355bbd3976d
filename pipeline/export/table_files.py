"""Tables as CSV, Markdown, HTML, Excel and Parquet: the same bytes each time, and safe to open."""

import io
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, cast

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from tabulate import tabulate

from pipeline.addresses import page_address
from pipeline.cells import cell_text, disarm
from pipeline.export.table import Column, Table
from pipeline.markdown import bare_link, literal
from pipeline.numerals import STYLES, NumberKind, interval_text

if TYPE_CHECKING:
    from xlsxwriter.format import Format

INTERVAL = "95 % interval"
_LONGEST_CELL = 32_767  # in UTF-16, as Excel counts
_CREATED = datetime(1980, 1, 1)  # a workbook has to say when it was made, and the same content must make the same bytes
_WIDEST = 60
_HTML = Environment(
    loader=PackageLoader("pipeline.export", "templates"), undefined=StrictUndefined, autoescape=True, trim_blocks=True,
    lstrip_blocks=True, keep_trailing_newline=True,
)  # fmt: skip


def csv(table: Table) -> bytes:
    """Return all columns under their names as CSV, numbers exact; texts that a spreadsheet would run as formulas begin with '."""
    safe = table.frame.astype(dict.fromkeys(_texts(table.frame), object))
    for name in _texts(table.frame):
        safe[name] = safe[name].map(lambda value: disarm(cell_text(value)) if isinstance(value, str) else value)
    file = io.StringIO()
    safe.to_csv(file, index=False, lineterminator="\n", date_format="%Y-%m-%dT%H:%M:%SZ")
    return file.getvalue().encode()


def parquet(table: Table) -> bytes:
    """Return all columns under their names as Parquet, values exact, the table's caption and note in its metadata."""
    import pyarrow as pa
    from pyarrow import parquet as files

    frame = table.frame.astype(dict.fromkeys(_texts(table.frame), object))
    for name in _texts(table.frame):  # categories are texts, and half a character is none
        frame[name] = frame[name].map(lambda value: value.encode(errors="replace").decode() if isinstance(value, str) else None)
    data = pa.Table.from_pandas(frame, preserve_index=False)
    for place, name in enumerate(data.column_names):
        if pa.types.is_null(data.schema.field(place).type) and name in _texts(table.frame):
            data = data.set_column(place, name, data.column(place).cast(pa.string()))
    about = {"name": table.name, "caption": table.caption, "note": table.note}
    file = io.BytesIO()
    files.write_table(data.replace_schema_metadata(about), file, compression="zstd")
    return file.getvalue()


def markdown(table: Table) -> bytes:
    """Return what people read as a GitHub pipe table between its caption and its note; no text is taken for mark-up."""
    heads, right = [], []
    for column in table.body:
        heads += [column.title, *([INTERVAL] if column.interval else [])]
        right += [column.numeric, *([True] if column.interval else [])]
    rows: list[list[str]] = []
    for heading, part in table.parts():
        if heading:
            rows.append([f"**{literal(heading)}**", *[""] * (len(heads) - 1)])
        rows += [[_markdown(column, text) for column, text in row] for row in cells(table, part)]
    alignment = ["right" if of else "left" for of in right]
    made = tabulate(rows, [literal(head) for head in heads], tablefmt="pipe", colalign=alignment, disable_numparse=True)
    said = [f"**{literal(table.caption)}**", made, *([literal(table.note)] if table.note else [])]
    return ("\n\n".join(said) + "\n").encode(errors="replace")


def html(table: Table) -> bytes:
    """Return what people read as a page of its own that asks nobody for anything."""
    heads: list[tuple[str, bool, int]] = []
    for column in table.body:
        several = sum(c.interval is not None for c in table.body) > 1
        if column.interval and several:
            heads.append((column.title, True, 2))
        else:
            heads += [(column.title, column.numeric, 1), *([(INTERVAL, True, 1)] if column.interval else [])]
    parts = [
        (heading, [[(column, text, page_address(text)) for column, text in row] for row in cells(table, part)])
        for heading, part in table.parts()
    ]
    width = sum(span for *_, span in heads)
    page = _HTML.get_template("table.html.j2").render(table=table, heads=heads, parts=parts, width=width)
    return page.encode(errors="replace")


def cells(table: Table, part: pd.DataFrame) -> Iterable[list[tuple[Column, str]]]:
    """Yield rows as people read them, each text with its column; an interval is a cell of its own after its estimate."""
    for row in part.to_dict("records"):
        made = []
        for column in table.body:
            made.append((column, cell_text(column.text(row[column.name]))))
            if column.interval:
                low, high = (float(row[name]) for name in column.interval)
                made.append((column, interval_text(low, high, cast(NumberKind, column.kind))))
        yield made


def excel(table: Table) -> bytes:
    """Return what people read as a workbook: numbers as numbers, texts as texts, never as formulas or links."""
    from xlsxwriter import Workbook

    file = io.BytesIO()
    book = Workbook(
        file, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    )
    book.set_properties({"created": _CREATED, "title": cell_text(table.caption), "comments": cell_text(table.note)})
    top = {"valign": "top"}
    bold, plain = book.add_format({"bold": True, "font_size": 12}), book.add_format(top | {"text_wrap": True})
    text = book.add_format(top | {"num_format": "@", "text_wrap": True})
    head = {"bold": True, "bottom": 1, "top": 2, "text_wrap": True, "valign": "bottom"}
    page = book.add_worksheet(table.name[:31])
    page.hide_gridlines(2)
    page.write_string(0, 0, cell_text(table.caption), bold)
    heads: list[tuple[str, str, Column]] = []
    for column in table.columns:
        heads.append((column.name, column.title.removesuffix(" (%)"), column))
        if column.interval:
            of = column.title.removesuffix(" (%)")
            heads += [
                (name, f"{of}: {end} end of {INTERVAL}", column)
                for name, end in zip(column.interval, ("lower", "upper"), strict=True)
            ]
    formats: dict[str, Format] = {kind: book.add_format(top | {"num_format": style.excel}) for kind, style in STYLES.items()} | {
        "date": book.add_format(top | {"num_format": "yyyy-mm-dd", "align": "left"})
    }
    for place, (name, title, column) in enumerate(heads):
        align = {"align": "right"} if column.numeric else {}
        page.write_string(2, place, cell_text(title), book.add_format(head | align))
        shown = [column.text(value) for value in table.frame[name].head(500)]
        widest = max([*(len(line) for cell in shown for line in cell.split("\n")), *map(len, title.split()), 6])
        page.set_column(place, place, min(widest, _WIDEST) + 2)
        for index, value in enumerate(table.frame[name], start=3):
            if not isinstance(value, str) and pd.isna(value):
                continue
            if column.numeric:
                page.write_number(index, place, float(value), formats[column.kind])
            elif column.kind == "date":
                page.write_datetime(index, place, value.to_pydatetime().replace(tzinfo=None), formats["date"])
            else:
                page.write_string(index, place, _fitting(cell_text(column.text(value))), text)
    last = 2 + len(table.frame)
    page.freeze_panes(3, 0)
    if len(heads):
        page.autofilter(2, 0, max(last, 3), len(heads) - 1)
    if table.note:
        page.merge_range(last + 2, 0, last + 2, max(len(heads) - 1, 1), "", plain)
        page.write_string(last + 2, 0, cell_text(table.note), plain)
        page.set_row(last + 2, 15 * (1 + len(table.note) // 80))
    page.set_landscape()
    page.fit_to_pages(1, 0)
    page.repeat_rows(2)
    book.close()
    return file.getvalue()


def _fitting(text: str) -> str:
    encoded = text.encode("utf-16-le")
    if len(encoded) <= 2 * _LONGEST_CELL:
        return text
    return encoded[: 2 * (_LONGEST_CELL - 1)].decode("utf-16-le", errors="ignore") + "\N{HORIZONTAL ELLIPSIS}"


def _markdown(column: Column, text: str) -> str:
    if column.numeric:
        return text
    return bare_link(text) if column.kind == "url" else literal(text)


def _texts(frame: pd.DataFrame) -> list[str]:
    other = (pd.api.types.is_numeric_dtype, pd.api.types.is_bool_dtype, pd.api.types.is_datetime64_any_dtype)
    return [name for name in frame.columns if not any(of(frame[name]) for of in other)]
