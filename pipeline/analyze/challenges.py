"""Challenges from interviews, looked for in the tracker: which defects tell of each, how these differ, what follows.

A challenge shows in the defects that match any of its clauses (`pipeline.themes`), which are facets and categories of the
taxonomy: no more than a reading of what was labelled for another purpose. Functions take the frame of defects.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.analyze.findings import matching
from pipeline.annotate.coefficients import RESAMPLES
from pipeline.intervals import newcombe, wilson
from pipeline.taxonomy import Taxonomy, Where
from pipeline.themes import Phase, Theme

AS_EXPECTED, OPPOSITE, OPEN, NO_DATA = "as expected", "the opposite", "not decided", "no data"


def matches(defects: pd.DataFrame, challenges: Sequence[Theme], taxonomy: Taxonomy) -> pd.DataFrame:
    """Return which defects tell of each challenge: a column a challenge, a row a defect."""
    columns = {}
    for theme in challenges:
        hit = pd.Series(data=False, index=defects.index)
        for clause in theme.defects:
            hit |= matching(defects, clause.where, taxonomy, f"theme '{theme.id}'")
        columns[theme.id] = hit
    return pd.DataFrame(columns, index=defects.index)


def clauses(defects: pd.DataFrame, challenges: Sequence[Theme], taxonomy: Taxonomy) -> pd.DataFrame:
    """Count the defects that each clause matches.

    Returns
    -------
    A row a clause: `challenge`, `clause` (in words), `reason`, `n` defects that match it, and `alone` those that match no other
    clause of the challenge.
    """
    rows = []
    for theme in challenges:
        hits = [matching(defects, clause.where, taxonomy, f"theme '{theme.id}'") for clause in theme.defects]
        together = sum(hit.astype(int) for hit in hits)
        for clause, hit in zip(theme.defects, hits, strict=True):
            words = "; ".join(
                f"{taxonomy.facet(f).title.lower()}: {', '.join(taxonomy.facet(f).label(c) for c in ids)}"
                for f, ids in clause.where.items()
            )
            rows.append((theme.id, words, clause.reason, int(hit.sum()), int((hit & (together == 1)).sum())))
    return pd.DataFrame(rows, columns=["challenge", "clause", "reason", "n", "alone"])


def profile(
    defects: pd.DataFrame, matched: pd.DataFrame, challenges: Sequence[Theme], taxonomy: Taxonomy, facets: Sequence[str]
) -> pd.DataFrame:
    """Compare the defects that tell of a challenge with all defects, and with the others.

    Returns
    -------
    A row a challenge, facet and category that occurs: `challenge`, `facet`, `category`, `count` of `n` defects of the
    challenge, their `share`; `all_share` among all `all_n`; `difference` of `share` from that among the defects that do not
    tell of the challenge, with Newcombe's 95 % interval `low`, `high`; and `defining`, whether the challenge is looked for by
    this facet, so that a difference is there by definition. Defects without an answer are left out.
    """
    rows = []
    for theme in challenges:
        defining = {facet for clause in theme.defects for facet in clause.where}
        for facet in facets:
            known = defects[facet].notna()
            hit = matched[theme.id] & known
            rest = ~matched[theme.id] & known
            for category in taxonomy.facet(facet).ids:
                here = defects[facet] == category
                count, others = int((here & hit).sum()), int((here & rest).sum())
                if count + others == 0:
                    continue
                n, other_n = int(hit.sum()), int(rest.sum())
                share, other = (count / n if n else np.nan), (others / other_n if other_n else np.nan)
                low, high = newcombe(count, n, others, other_n)
                all_share = (count + others) / (n + other_n)
                rows.append(
                    (
                        theme.id,
                        facet,
                        category,
                        count,
                        n,
                        share,
                        all_share,
                        n + other_n,
                        share - other,
                        low,
                        high,
                        facet in defining,
                    )
                )
    columns = [
        "challenge", "facet", "category", "count", "n", "share", "all_share", "all_n", "difference", "low", "high", "defining",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def expectations(defects: pd.DataFrame, challenges: Sequence[Theme], taxonomy: Taxonomy) -> pd.DataFrame:
    """Test what would show in the tracker if a challenge were there as in the interviews.

    Returns
    -------
    A row an expectation: `challenge`, `statement`; `count` of `n` among the defects it is about, `than_count` of `than_n` among
    those they are compared with; the `difference` of the shares with Newcombe's 95 % interval `low`, `high`, and the `verdict`:
    as expected or the opposite where the interval is on one side of 0, else not decided.
    """
    rows = []
    for theme in challenges:
        place = f"theme '{theme.id}'"
        for expected in theme.expected:
            asked = [*{*expected.of, *expected.among, *expected.than}]
            known = defects[defects[asked].notna().all(axis=1)]
            of = matching(known, expected.of, taxonomy, place)
            among = matching(known, expected.among, taxonomy, place)
            than = ~among & matching(known, expected.than, taxonomy, place)
            count, n, other, other_n = (int(mask.sum()) for mask in (of & among, among, of & than, than))
            low, high = newcombe(count, n, other, other_n)
            difference = count / n - other / other_n if n and other_n else np.nan
            verdict = NO_DATA if np.isnan(low) else AS_EXPECTED if low > 0 else OPPOSITE if high < 0 else OPEN
            rows.append((theme.id, expected.statement, count, n, other, other_n, difference, low, high, verdict))
    columns = [
        "challenge", "statement", "count", "n", "than_count", "than_n", "difference", "low", "high", "verdict",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def phases_and_defects(
    votes: pd.DataFrame,
    defects: pd.DataFrame,
    matched: pd.DataFrame,
    challenges: Sequence[Theme],
    phases: Sequence[Phase],
    taxonomy: Taxonomy,
) -> pd.DataFrame:
    """Compare to which phases of the work a challenge belongs, as coders see it, with where its defects lie.

    Parameters
    ----------
    votes
        What `pipeline.analyze.coded_turns.phases` returns. Phases that show in the same defects are one here.

    Returns
    -------
    A row a challenge and place in the tracker: `challenge`, `where` (its categories' names); `votes` of `votes_n` turns whose
    phase shows in the tracker at all; `count` of the challenge's `n` defects; and `defining`, whether it is looked for by this
    facet.
    """
    places: dict[str, tuple[Where, list[str]]] = {}
    for phase in phases:
        if phase.shows:
            name = "; ".join(", ".join(taxonomy.facet(f).label(c) for c in ids) for f, ids in phase.shows.items())
            places.setdefault(name, (phase.shows, []))[1].append(phase.id)
    rows = []
    for theme in challenges:
        said = votes[votes["theme"] == theme.id].set_index("phase")["votes"]
        everywhere = sum(float(said[phase_ids].sum()) for _, phase_ids in places.values())
        defining = {facet for clause in theme.defects for facet in clause.where}
        for name, (where, phase_ids) in places.items():
            here = matching(defects, where, taxonomy, "the code book") & matched[theme.id]
            n = int(matched[theme.id].sum())
            rows.append(
                (theme.id, name, float(said[phase_ids].sum()), everywhere, int(here.sum()), n, not defining.isdisjoint(where))
            )
    return pd.DataFrame(rows, columns=["challenge", "where", "votes", "votes_n", "count", "n", "defining"])


def ranking(counts: pd.DataFrame, clusters: Sequence[str], seed: int) -> pd.DataFrame:
    """Rank challenges by how often they occur, and tell how firm each rank is.

    Parameters
    ----------
    counts
        Whether a unit (turn, defect) tells of a challenge: a row a unit, a column a challenge.
    clusters
        Of each unit, the interview or issue over which to resample.

    Returns
    -------
    A row a challenge: `challenge`, `count` of `n`, `share` with its 95 % Wilson interval `low`, `high`; `rank` (1 is the most
    frequent; equals share the better one), and in which share of bootstrap resamples it keeps that rank (`support`).
    """
    n = len(counts)
    codes, names = pd.factorize(pd.Series(list(clusters), dtype=object))
    sums = np.zeros((len(names), len(counts.columns)))
    np.add.at(sums, codes, counts.to_numpy(dtype=float))
    weights = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / max(len(names), 1)), size=RESAMPLES)
    ranks = _ranks(sums.sum(axis=0)[None])[0]
    support = (_ranks(weights @ sums) == ranks).mean(axis=0)
    rows = []
    for i, challenge in enumerate(counts.columns):
        count = int(counts[challenge].sum())
        rows.append((challenge, count, n, count / n if n else np.nan, *wilson(count, n), int(ranks[i]), float(support[i])))
    return pd.DataFrame(rows, columns=["challenge", "count", "n", "share", "low", "high", "rank", "support"])


def _ranks(counts: np.ndarray) -> np.ndarray:
    return np.asarray(1 + (counts[:, None, :] > counts[:, :, None]).sum(axis=2))
