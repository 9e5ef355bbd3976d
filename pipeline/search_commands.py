"""The command that searches threads: `redefect search`. Like `pipeline.cli`, it parses and calls."""

import json
from typing import Annotated

import typer
from rich.text import Text

from pipeline.terminal import OUT, DatabaseOption, StudyOption, named_study


def search(
    query: Annotated[
        str,
        typer.Argument(help='Words, "phrases", beginnings (mem*), -not, OR; put it in quotes, after -- if it begins with -.'),
    ],
    study: StudyOption = "demo",
    repository: Annotated[list[str] | None, typer.Option(help="Only in this repository (owner/name); may be repeated.")] = None,
    sampled: Annotated[bool, typer.Option("--sampled", help="Only among the issues of the study's sample.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many threads to show at most.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON a thread.")] = False,
    database: DatabaseOption = None,
) -> None:
    """Find the threads of a study's store that hold all the words, in title, text or comments, the best match first."""
    from pipeline.addresses import issue_address
    from pipeline.store.search import in_brackets
    from pipeline.store.search import search as find
    from pipeline.store.session import Store, database_url

    described = named_study(study)
    store = Store(database_url(database, described.database))
    with store.reading() as connection:
        found = find(connection, query, repositories=repository or (), study=described.name if sampled else None, limit=limit)
    store.close()
    for hit in found.hits:
        place = f"comment {hit.position}" if hit.position else "text"
        if as_json:
            known = {
                "repository": hit.repository, "number": hit.number, "url": issue_address(hit.repository, hit.number),
                "title": "".join(piece.text for piece in hit.title), "place": place, "passage": in_brackets(hit.passage),
            }  # fmt: skip
            typer.echo(json.dumps(known, ensure_ascii=False))
            continue
        shown = Text(f"{hit.repository}#{hit.number}  ")
        for pieces, before in ((hit.title, ""), (hit.passage, f"\n    {place}: ")):
            shown.append(before)
            for piece in pieces:
                shown.append(f"[{piece.text}]" if piece.found else piece.text, "bold" if piece.found else "")
        OUT.print(shown, soft_wrap=True)
    if not as_json:
        OUT.print(Text(f"{len(found.hits)} of {found.total:,} threads that match" if found.hits else "No thread matches."))
