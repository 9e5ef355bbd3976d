"""What coders see in interviews, counted: who names a theme, how far coders agree, when nothing new comes, what goes together.

All functions take frames. `answers` has a row a turn of those who answer: `transcript`, `turn`, `participant`, `role`, `words`.
`marks` has a row for each of these turns and each theme that any coder sees there: `transcript`, `turn`, `theme`, and by how
many `coders`.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from pipeline.annotate.coefficients import RESAMPLES, estimate, interval
from pipeline.collect.transcripts import INTERVIEWER, role_in
from pipeline.intervals import wilson

ROLES = ("leader", "contributor", "practitioner")

_TURN = ["transcript", "turn"]
_HAN = re.compile(r"[\u3400-\u9fff]")
_WORD = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+(?:['’-]\w+)*")
_ORDERS = 1000


def answers_in(turns: pd.DataFrame) -> pd.DataFrame:
    """Return the turns of those who answer, with who it is under a name that tells nothing but the role, `leader 2`.

    Participants are numbered by role, in the order of the transcripts and of their first words.

    Parameters
    ----------
    turns
        Columns `transcript`, `turn`, `speaker`, `role`, `text`.

    Returns
    -------
    Columns `transcript`, `turn`, `participant`, `role`, `words` (of Chinese, characters), `script` (Latin or Han: that of most of
    what the participant says), `text`.
    """
    said = turns[~turns["role"].isin(["", INTERVIEWER])].reset_index(drop=True)
    people = said[["transcript", "speaker", "role"]].drop_duplicates(["transcript", "speaker"])
    people = people.assign(name=people["role"] + " " + (people.groupby("role").cumcount() + 1).astype(str))
    names = {(transcript, speaker): name for transcript, speaker, _, name in people.itertuples(index=False, name=None)}
    participant = [names[key] for key in zip(said["transcript"], said["speaker"], strict=True)]
    words = [len(_WORD.findall(text)) for text in said["text"]]
    han = pd.Series([len(_HAN.findall(text)) for text in said["text"]], dtype=float)
    of_all = han.groupby(participant).sum() / pd.Series(words, dtype=float).groupby(participant).sum()
    script = ["Han" if of_all[name] > 0.5 else "Latin" for name in participant]
    return said.assign(participant=participant, words=words, script=script)[
        [*_TURN, "participant", "role", "words", "script", "text"]
    ]


def coded_answers(codings: pd.DataFrame, roles: Mapping[str, str]) -> pd.DataFrame:
    """Return the turns that codings name, as `answers_in` does, for when the transcripts are not at hand.

    Of a transcript it is only known what its name and `roles` tell; each stands for one participant, and `words` are missing.
    """
    known = codings[_TURN].drop_duplicates().sort_values(_TURN, ignore_index=True)
    role = [roles.get(name) or role_in(name) or "" for name in known["transcript"]]
    return known.assign(participant=known["transcript"], role=role, words=np.nan, script="", text="")


def marks_in(codings: pd.DataFrame) -> pd.DataFrame:
    """Return the themes that any coder sees in a turn, and how many do."""
    return codings.groupby([*_TURN, "theme"], sort=True)["coder"].nunique().rename("coders").reset_index()


def prevalence(answers: pd.DataFrame, marks: pd.DataFrame, themes: Sequence[str], everybody: int) -> pd.DataFrame:
    """Count where each theme is seen, overall and by role.

    Parameters
    ----------
    everybody
        How many coders there are: all of them see a theme in the turns counted as `agreed`.

    Returns
    -------
    A row a theme and group (`all`, then the roles there are): `theme`, `group`; `participants` and `interviews` in which any
    coder sees it, of `participants_n` and `interviews_n`; `turns` in which any coder does, `agreed` in which all do, of `n`;
    and the `share` of turns with its 95 % Wilson interval `low`, `high`, which takes turns as independent of each other.
    """
    joined = marks.merge(answers[[*_TURN, "participant", "role"]], on=_TURN)
    rows = []
    for theme in themes:
        seen = joined[joined["theme"] == theme]
        for group in ["all", *(role for role in ROLES if (answers["role"] == role).any())]:
            of = answers if group == "all" else answers[answers["role"] == group]
            hits = seen if group == "all" else seen[seen["role"] == group]
            n, turns = len(of), len(hits)
            rows.append(
                (
                    theme, group, hits["participant"].nunique(), of["participant"].nunique(), hits["transcript"].nunique(),
                    of["transcript"].nunique(), turns, int((hits["coders"] == everybody).sum()), n,
                    turns / n if n else np.nan, *wilson(turns, n),
                )
            )  # fmt: skip
    columns = [
        "theme", "group", "participants", "participants_n", "interviews", "interviews_n", "turns", "agreed", "n", "share", "low",
        "high",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def agreement(answers: pd.DataFrame, codings: pd.DataFrame, pools: Mapping[str, Sequence[str]], seed: int) -> pd.DataFrame:
    """Estimate how far coders agree on whether a turn carries a theme, over all turns of those who answer.

    Parameters
    ----------
    pools
        By name, the themes over which to pool, as if they were one; a theme alone is a pool of one.

    Returns
    -------
    A row a pool: `pool`; `turns` in which any coder sees one of its themes (a turn counts once for each), `agreed` in which all
    do; `specific`, the share of what one coder sees that the other does, too (Dice's; for two coders); and `agreement`, `cohen`
    and `gwet`, each with its 95 % interval (`cohen_low`, `cohen_high`) by bootstrap over interviews.
    """
    coders = sorted(codings["coder"].unique())
    item = answers["transcript"] + "#" + answers["turn"].astype(str)
    where = pd.Series(range(len(answers)), index=pd.MultiIndex.from_frame(answers[_TURN]))
    rows = []
    for pool, themes in pools.items():
        parts, counts = [], np.zeros((len(answers), len(themes)), dtype=int)
        for column, theme in enumerate(themes):
            for coder in coders:
                said = np.zeros(len(answers), dtype=bool)
                codes = codings[(codings["coder"] == coder) & (codings["theme"] == theme)]
                said[where.reindex(pd.MultiIndex.from_frame(codes[_TURN])).dropna().astype(int)] = True
                counts[:, column] += said
                parts.append(
                    pd.DataFrame(
                        {
                            "item": item, "cluster": answers["transcript"], "facet": theme, "annotator": coder,
                            "category": np.where(said, "yes", "no"),
                        }
                    )
                )  # fmt: skip
        found = estimate(pd.concat(parts, ignore_index=True), seed)
        seen = np.stack([(counts > 0).sum(axis=1), (counts == len(coders)).sum(axis=1)], axis=1)
        some, both = (int(total) for total in seen.sum(axis=0))
        specific = _specific(seen, answers["transcript"], seed) if len(coders) == 2 else (np.nan, np.nan, np.nan)
        measures = [value for name in ("agreement", "cohen", "gwet") for value in found[name][:3]]
        rows.append((pool, some, both, len(answers), *specific, *measures))
    names = [f"{name}{end}" for name in ("specific", "agreement", "cohen", "gwet") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["pool", "turns", "agreed", "n", *names])


def saturation(answers: pd.DataFrame, marks: pd.DataFrame, themes: Sequence[str], seed: int) -> pd.DataFrame:
    """Count how many themes have come up after each interview, in the order of the transcripts and in random ones.

    Returns
    -------
    A row an interview: `interviews` (1, 2, ...); in the transcripts' order `transcript`, `new` themes and how many were `seen`
    so far; and over 1,000 random orders the means `mean_new` and `mean`, and of the latter the 2.5th and 97.5th percentile
    `low`, `high`.
    """
    transcripts = list(answers["transcript"].drop_duplicates())
    has = (
        pd.crosstab(marks["transcript"], marks["theme"]).reindex(index=transcripts, columns=list(themes), fill_value=0).to_numpy()
        > 0
    )
    generator = np.random.default_rng(seed)
    orders = np.stack([np.arange(len(transcripts)), *(generator.permutation(len(transcripts)) for _ in range(_ORDERS))])
    seen = np.logical_or.accumulate(has[orders], axis=1).sum(axis=2)
    new = np.diff(seen, axis=1, prepend=0)
    low, high = np.percentile(seen[1:], [2.5, 97.5], axis=0)
    columns = {
        "interviews": np.arange(1, len(transcripts) + 1), "transcript": transcripts, "new": new[0], "seen": seen[0],
        "mean_new": new[1:].mean(axis=0), "mean": seen[1:].mean(axis=0), "low": low, "high": high,
    }  # fmt: skip
    return pd.DataFrame(columns)


def cooccurrence(answers: pd.DataFrame, marks: pd.DataFrame, themes: Sequence[str], seed: int) -> pd.DataFrame:
    """Count which themes are seen in the same turn.

    Parameters
    ----------
    answers
        Only of turns that could carry a theme: short ones carry none, and would make all themes go together.

    Returns
    -------
    A row a pair of themes: `first`, `second`, in how many turns each is (`first_n`, `second_n`) and `both` are, of `n`; `lift`
    (how many times as often as if they were independent), and the `phi` coefficient with its 95 % interval `low`, `high` by
    bootstrap over interviews. The strongest association comes first.
    """
    index = pd.MultiIndex.from_frame(answers[_TURN])
    has = np.stack(
        [index.isin(list(marks.loc[marks["theme"] == t, _TURN].itertuples(index=False, name=None))) for t in themes], axis=1
    ).astype(float)
    clusters, names = pd.factorize(answers["transcript"])
    singles, pairs = np.zeros((len(names), len(themes))), np.zeros((len(names), len(themes), len(themes)))
    np.add.at(singles, clusters, has)
    np.add.at(pairs, clusters, has[:, :, None] * has[:, None, :])
    sizes = np.bincount(clusters, minlength=len(names)).astype(float)
    weights = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / max(len(names), 1)), size=RESAMPLES)
    drawn = _phi(np.tensordot(weights, pairs, axes=1), weights @ singles, weights @ sizes)
    phi = _phi(pairs.sum(axis=0)[None], singles.sum(axis=0)[None], sizes.sum()[None])[0]
    total, both = singles.sum(axis=0), pairs.sum(axis=0)
    rows = []
    for i, j in combinations(range(len(themes)), 2):
        low, high = interval(drawn[:, i, j][:, None])[:, 0] if len(names) > 1 else (np.nan, np.nan)
        expected = total[i] * total[j] / len(answers) if len(answers) else 0
        lift = both[i, j] / expected if expected else np.nan
        rows.append(
            (themes[i], themes[j], int(total[i]), int(total[j]), int(both[i, j]), len(answers), lift, phi[i, j], low, high)
        )
    columns = ["first", "second", "first_n", "second_n", "both", "n", "lift", "phi", "low", "high"]
    return pd.DataFrame(rows, columns=columns).sort_values("phi", ascending=False, kind="stable", ignore_index=True)


def phases(codings: pd.DataFrame, themes: Sequence[str], phase_ids: Sequence[str]) -> pd.DataFrame:
    """Count to which phase of the work what is said of a theme belongs.

    Each turn in which a theme is seen has one vote, which its coders split; those who name no phase vote for none (`""`).

    Returns
    -------
    A row a theme and phase: `theme`, `phase`, `votes`, of `n` turns, `share` and its 95 % Wilson interval `low`, `high`.
    """
    codes = codings.assign(phase=codings["phase"].fillna(""))
    codes = codes.assign(vote=1 / codes.groupby([*_TURN, "theme"])["coder"].transform("size"))
    votes = codes.groupby(["theme", "phase"])["vote"].sum()
    rows = []
    for theme in themes:
        n = len(codes.loc[codes["theme"] == theme, _TURN].drop_duplicates())
        for phase in [*phase_ids, ""]:
            count = float(votes.get((theme, phase), 0.0))
            rows.append((theme, phase, count, n, count / n if n else np.nan, *wilson(count, n)))
    return pd.DataFrame(rows, columns=["theme", "phase", "votes", "n", "share", "low", "high"])


def _specific(seen: np.ndarray, transcripts: pd.Series, seed: int) -> tuple[float, float, float]:
    """Return Dice's coefficient of what any coder and what both see in each turn, with its interval over interviews."""
    clusters, names = pd.factorize(transcripts)
    sums = np.stack([np.bincount(clusters, column, len(names)) for column in seen.T])
    some, both = sums.sum(axis=1)
    value = 2 * both / (some + both) if some else np.nan
    if len(names) < 2:
        return value, np.nan, np.nan
    weights = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    drawn = weights @ sums.T
    with np.errstate(invalid="ignore"):
        low, high = interval((2 * drawn[:, 1] / drawn.sum(axis=1))[:, None])[:, 0]
    return value, float(low), float(high)


def _phi(both: np.ndarray, single: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return the phi coefficients of all pairs (draws, themes, themes); not a number where a theme is always or never there."""
    a, b = single[:, :, None], single[:, None, :]
    size = n[:, None, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((size * both - a * b) / np.sqrt(a * (size - a) * b * (size - b)))
