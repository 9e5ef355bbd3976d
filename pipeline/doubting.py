"""The check of a study's human labels for those most likely wrong: a list for another look, which changes no label."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline.classify.evaluation import evaluate, scores, verdicts
from pipeline.classify.groups import find_groups, several_repositories_out
from pipeline.classify.label_errors import label_errors, rare
from pipeline.classify.text import Document
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.material import Progress, material
from pipeline.store import read
from pipeline.store.session import Store
from pipeline.study import Study, Verdict
from pipeline.training import untrained

_CLASSIFIER, _HELD_OUT = "classifier", "repositories left out"
_KEY = ["repository", "number", "defect"]


@dataclass(frozen=True, slots=True)
class Doubts:
    """Labels for another look, and what was looked at.

    Attributes
    ----------
    labels
        The label most likely wrong first: `repository`, `number`, `defect`, `url`, `facet`, `label`, `probability` (of the label,
        by a model that saw none of its repository), `said` (the model's category), `probability_said`, and `issue` (whether
        confident learning counts it among the wrong ones).
    checked
        A row a facet that was checked: `facet`, `labels`, `issues`, and how far the model agrees with labels that it did not see,
        Cohen's `kappa` with its 95 % interval `low`, `high`.
    unchecked
        What was not: `facet`, `category` (empty if all of them), `labels`, and `why`, a sentence.
    """

    labels: pd.DataFrame
    checked: pd.DataFrame
    unchecked: pd.DataFrame


def doubtful_labels(
    store: Store,
    study: Study,
    *,
    annotator: str | None = None,
    round_: str | None = None,
    size: int = 50,
    jobs: int = 1,
    progress: Progress = iter,
) -> Doubts:
    """List the labels of an annotator in a round that are most likely wrong; by default those of the study's verdict.

    The model learns from these labels, and from those of the project where there are none; it never judges a thread of a
    repository that it learnt from. Facets that it cannot tell better than chance are left out, as are rare categories.

    Raises
    ------
    RedefectError
        If there is no such label of a defect, or too little to learn from.
    """
    whose = Verdict(annotator=annotator or study.verdict.annotator, round=round_ or study.verdict.round)
    with store.reading() as connection:
        known = read.labels(connection, study.name)
    known = known[(known["annotator"] == whose.annotator) & (known["round"] == whose.round) & (known["defect"] > 0)]
    if known.empty:
        raise RedefectError(
            f"Study '{study.name}' has no label of a defect by '{whose.annotator}' in round '{whose.round}'; "
            "name an annotator and a round that it has."
        )
    found = material(store, study, progress, whose)
    seed = study.seeds.resampling
    groups = find_groups(found.labelled.documents)
    folds = list(several_repositories_out(groups, found.labelled.labels, seed=seed))
    model = {_CLASSIFIER: untrained(found, store, study)}
    evaluation = evaluate(_HELD_OUT, found.labelled, model, folds, groups.families, jobs=jobs)
    learnt = verdicts(scores(evaluation, seed=seed), _CLASSIFIER, []).set_index("facet")
    places = _places(known, found.labelled.documents)
    doubts, checked, unchecked = [], [], []
    for facet in study.read_taxonomy().facets:
        count = int((known["facet"] == facet.id).sum())
        if facet.level == "issue":
            unchecked.append((facet.id, "", count, "It is answered once an issue, and the model tells defects apart."))
        elif facet.id not in evaluation.facets:
            unchecked.append((facet.id, "", count, "It has too few labels, or a single category."))
        elif learnt.loc[facet.id, "withheld"]:
            unchecked.append((facet.id, "", count, str(learnt.loc[facet.id, "why"])))
        else:
            predicted = evaluation.predicted[_CLASSIFIER][facet.id]
            for category, labels in rare(predicted).items():
                unchecked.append((facet.id, category, labels, "It has too few labels beside those of one repository."))
            errors = label_errors(predicted).merge(places, on="row").assign(facet=facet.id)
            doubts.append(errors)
            kappa = learnt.loc[facet.id, ["kappa", "low", "high"]]
            checked.append((facet.id, len(errors), int(errors["issue"].sum()), *map(float, kappa)))
    columns = [*_KEY, "url", "facet", "label", "probability", "said", "probability_said", "issue"]
    ranked = pd.concat(doubts)[columns] if doubts else pd.DataFrame(columns=columns)
    ranked = ranked.sort_values(["probability", *_KEY, "facet"], ignore_index=True)
    return Doubts(
        ranked.head(size),
        pd.DataFrame(checked, columns=["facet", "labels", "issues", "kappa", "low", "high"]),
        pd.DataFrame(unchecked, columns=["facet", "category", "labels", "why"]),
    )


def _places(known: pd.DataFrame, documents: Sequence[Document]) -> pd.DataFrame:
    """Return which defects the rows of the material are, where these are to be checked: a thread's rows are its defects in order.

    Columns: `row`, `repository`, `number`, `defect`, `url`.
    """
    defects = known[_KEY].drop_duplicates().sort_values(_KEY)
    defects["folded"] = defects["repository"].str.casefold()
    defects["nth"] = defects.groupby(["folded", "number"]).cumcount()
    rows = pd.DataFrame([(d.repository.casefold(), d.number) for d in documents], columns=["folded", "number"])
    rows["nth"] = rows.groupby(["folded", "number"]).cumcount()
    found = rows.assign(row=range(len(rows))).merge(defects, on=["folded", "number", "nth"])[["row", *_KEY]]
    issues = zip(found["repository"], found["number"], strict=True)
    return found.assign(url=[IssueReference(str(repository), int(number)).url for repository, number in issues])
