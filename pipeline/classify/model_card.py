"""The model card: what stands beside a model file, so that nobody has to guess what the model is worth."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pipeline import files
from pipeline.classify.model_file import Classifier
from pipeline.documents import read_text
from pipeline.errors import RedefectError

_BETWEEN = re.compile(r"(?<!\\) \| ")
_HASH = re.compile(r"^- SHA-256 of the model file: `([0-9a-f]{64})`$", re.MULTILINE)


def card_path(model: Path) -> Path:
    """Return where the card of a model file is."""
    return model.with_suffix(".md")


def write_card(model: Path, classifier: Classifier, text: str, metrics: Mapping[str, pd.DataFrame], rebuild: str) -> Path:
    """Write the card of a model file, and return its place. The same classifier and metrics give the same bytes.

    Parameters
    ----------
    text
        What people wrote of the model (Markdown): where its labels come from, its limits, what it may not be used for.
    metrics
        Tables of the evaluation, by their titles.
    rebuild
        The command that makes the model file anew.
    """
    size = model.stat().st_size
    versions = ", ".join(f"{name} {version}" for name, version in sorted(classifier.versions.items()))
    lines = [
        f"# Model card: {classifier.name}",
        "",
        f"- Model file: `{model.name}`, {size:,} bytes",
        f"- SHA-256 of the model file: `{files.sha256(model)}`",
        f"- Rebuilt, to the same bytes, by: `{rebuild}`",
        f"- Trained with: {versions or 'not told'}",
        "",
        text.strip(),
        "",
        "## What it labels",
        "",
        *_table(
            ["facet", "categories", "abstains", "withheld"],
            [
                [
                    facet,
                    ", ".join(classifier.known_categories(facet)),
                    _threshold(classifier.thresholds.get(facet)),
                    "yes: it cannot be learnt yet" if facet in classifier.withheld else "",
                ]
                for facet in classifier.categories
            ],
        ),
        "",
        "## What it was trained on",
        "",
        *_table(["input", "SHA-256"], [[name, f"`{digest}`"] for name, digest in sorted(classifier.data.items())]),
    ]
    for title, frame in metrics.items():
        rows = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
        lines += ["", f"## {title}", "", *_table([str(column) for column in frame.columns], rows)]
    path = card_path(model)
    files.write(path, ("\n".join(lines) + "\n").encode())
    return path


def read_card(model: Path) -> dict[str, pd.DataFrame]:
    """Return the tables of a model file's card by their titles; columns whose cells are all numbers or empty are numbers.

    Raises
    ------
    RedefectError
        If there is no card, or it is that of another file.
    """
    check_card(model)
    tables = {}
    for section in read_text(card_path(model)).split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        lines = [line for line in text.splitlines() if line.startswith("| ")]
        rows = [[cell.replace("\\|", "|") for cell in _BETWEEN.split(line[2:-2])] for line in lines]
        if len(rows) > 2:
            frame = pd.DataFrame(rows[2:], columns=rows[0])
            for column in frame:
                numbers = pd.to_numeric(frame[column].replace("", None), errors="coerce")
                if numbers.notna().equals(frame[column] != ""):
                    frame[column] = numbers
            tables[title] = frame
    return tables


def check_card(model: Path) -> None:
    """See that the card beside a model file is this file's.

    Raises
    ------
    RedefectError
        If there is no card, or it is that of another file.
    """
    path = card_path(model)
    found = _HASH.search(read_text(path))
    if found is None or found[1] != files.sha256(model):
        raise RedefectError(f"{path}: is not the card of {model.name} as it is now; make both anew.")


def _threshold(value: float | None) -> str:
    return "never" if value is None else "always" if value > 1 else f"below {value:.2f}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines]


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.3f}"
    return "" if value is None else str(value)
