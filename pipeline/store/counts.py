"""Counts of what the store holds, so that an import can tell what became of what it read. Without pandas: imports are quick."""

from sqlalchemy import Connection, select

from pipeline.store.schema import Base

_ISSUE, _LABEL, _RATING = (Base.metadata.tables[name].c for name in ("issue", "label", "rating"))
_TURN, _CODING = (Base.metadata.tables[name].c for name in ("turn", "coding"))


def stored(connection: Connection, source: str) -> dict[str, int]:
    """Count what is there from a source.

    `labels`, and the `defects`, `issues` and `repositories` that they are of; `ratings`; `turns` of interviews, and `codings`.
    """
    labels = connection.execute(
        select(_LABEL.defect, _ISSUE.id, _ISSUE.repository_id)
        .join(Base.metadata.tables["issue"], _LABEL.issue_id == _ISSUE.id)
        .where(_LABEL.source == source)
    ).all()
    return {
        "labels": len(labels),
        "defects": len({(issue, defect) for defect, issue, _ in labels if defect}),
        "issues": len({issue for _, issue, _ in labels}),
        "repositories": len({repository for _, _, repository in labels}),
        "ratings": len(connection.execute(select(_RATING.id).where(_RATING.source == source)).all()),
        "turns": len(connection.execute(select(_TURN.id).where(_TURN.source == source)).all()),
        "codings": len(connection.execute(select(_CODING.id).where(_CODING.source == source)).all()),
    }


def label_sources(connection: Connection, folder: str) -> list[str]:
    """Return the sources of labels that are files below a folder, sorted."""
    rows = connection.execute(select(_LABEL.source).where(_LABEL.source.startswith(f"{folder}/", autoescape=True)).distinct())
    return sorted(rows.scalars())
