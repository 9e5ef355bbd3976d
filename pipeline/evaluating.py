"""How good the classifier is: all protocols beside baselines and people, and the tables and figures that tell it."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass

import pandas as pd

from pipeline.analyze.figures import Chart, confusion_matrix, learning_curves, precision_by_coverage, reliability_diagram
from pipeline.annotate.coefficients import estimate
from pipeline.annotate.units import by_position, from_ratings
from pipeline.classify.baselines import majority, plain_words, stratified_random
from pipeline.classify.evaluation import (
    LEFT_OUT,
    Estimators,
    Evaluation,
    agreement_with,
    confusion,
    differences,
    evaluate,
    evaluate_against,
    evaluate_left_out,
    evaluate_stratified,
    scores,
    verdicts,
)
from pipeline.classify.groups import Groups, find_groups, several_repositories_out
from pipeline.classify.labelled import Labelled
from pipeline.classify.learning_curve import SIZES, LearningCurve, Worth, learning_curve, worth_of_more
from pipeline.classify.lexicon import LexicalModel
from pipeline.classify.reliability import coverage, reliability, threshold_for
from pipeline.collect.rater_sheets import read_rater_sheets
from pipeline.errors import RedefectError
from pipeline.export.table import Table
from pipeline.export.table import files as table_files
from pipeline.material import Progress, labelled_by, material
from pipeline.numerals import with_interval
from pipeline.store.session import Store
from pipeline.study import RaterSheetsSource, Study
from pipeline.taxonomy import Taxonomy
from pipeline.training import untrained

CLASSIFIER, RULES, MAJORITY, CHANCE, WORDS = "classifier", "rules", "majority", "stratified random", "plain words"

PRECISION = 0.8
"""Of the answers that are given when the classifier abstains from the rest, by default."""

_SHOWN = {"kappa": "kappa", "macro_f1": "macro F1", "weighted_f1": "weighted F1", "calibration_error": "calibration error"}


@dataclass(frozen=True)
class Report:
    """What an evaluation found.

    Attributes
    ----------
    evaluations
        A protocol each; the first leaves repositories out, and is the one that verdicts, calibration and confusion come from.
    scores, differences, verdicts
        See `pipeline.classify.evaluation`.
    human
        How well people agree: `who`, `facet`, `n`, and Cohen's `kappa` with its interval `low`, `high`.
    hits
        On another study's threads, how often any of a thread's defects was hit; empty without such.
    reliability, coverage
        See `pipeline.classify.reliability`.
    abstention
        Of each facet the threshold for a precision, what it answers, and how well: `facet`, `wanted`, `threshold`, `n`,
        `coverage`, `precision`, `low`, `high`; missing where no threshold keeps that precision.
    curve, worth
        See `pipeline.classify.learning_curve`.
    groups
        What was never parted.
    candidates
        What the classifier chose from when it learnt from everything; empty if it chooses nothing.
    """

    evaluations: list[Evaluation]
    scores: pd.DataFrame
    differences: pd.DataFrame
    verdicts: pd.DataFrame
    human: pd.DataFrame
    hits: pd.DataFrame
    reliability: pd.DataFrame
    coverage: pd.DataFrame
    abstention: pd.DataFrame
    curve: LearningCurve
    worth: list[Worth]
    groups: Groups
    candidates: pd.DataFrame


def evaluate_study(
    store: Store,
    study: Study,
    *,
    beside: Study | None = None,
    precision: float = PRECISION,
    quick: bool = False,
    jobs: int = 1,
    progress: Progress = iter,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Evaluate the classifier on all labels that a study can learn from: see `evaluate_all`.

    Habits and word vectors come from all texts of the store, those to be tested on included: they hold no labels.

    Parameters
    ----------
    beside
        Another study of the same taxonomy, against whose labels of threads in the store to test, too.

    Raises
    ------
    RedefectError
        If there is nothing to learn from, or nothing to test against.
    """
    if beside is not None and beside.name == study.name:
        raise RedefectError(f"Study '{study.name}' cannot be tested against its own labels; name another by --beside, or none.")
    found = material(store, study, progress)
    if found.lexicon is None:
        raise RedefectError(f"{study.lexicon_path}: there are no written rules for the study's taxonomy; write some first.")
    seed = study.seeds.resampling
    classifier = untrained(found, store, study)
    return evaluate_all(
        found.labelled,
        with_baselines(classifier, LexicalModel(found.lexicon), seed),
        seed=seed,
        study=None if beside is None else labelled_by(store, study, beside, found.habits),
        raters=None if beside is None else raters_agreement(beside),
        precision=precision,
        quick=quick,
        jobs=jobs,
        say=say,
    )


def raters_agreement(study: Study) -> pd.DataFrame | None:
    """Return how well a study's two raters agreed in their last round, as written; None if there are no sheets of theirs.

    Returns
    -------
    Columns `who`, `facet`, `n`, and Cohen's `kappa` with its 95 % interval `low`, `high`.
    """
    taxonomy = study.read_taxonomy()
    rows = []
    for source in study.sources:
        if isinstance(source, RaterSheetsSource):
            ratings = read_rater_sheets(study.root / source.path, source.sheets, taxonomy, lambda _: None)
            last = source.sheets[-1].round
            units = by_position(from_ratings(pd.DataFrame(asdict(rating) for rating in ratings if rating.round == last)))
            for facet in taxonomy.defect_facets:
                kappa = estimate(units[units["facet"] == facet.id], study.seeds.resampling)["cohen"]
                if kappa.n:
                    rows.append((f"the study's raters, round '{last}'", facet.id, kappa.n, kappa.value, kappa.low, kappa.high))
    return pd.DataFrame(rows, columns=["who", "facet", "n", "kappa", "low", "high"]) if rows else None


def with_baselines(classifier: object, rules: object, seed: int) -> dict[str, object]:
    """Return the classifier with all that it is measured against, by name, unfitted."""
    others = {RULES: rules, MAJORITY: majority(), CHANCE: stratified_random(seed), WORDS: plain_words()}
    return {CLASSIFIER: classifier, **others}


def evaluate_all(
    labelled: Labelled,
    estimators: Estimators,
    *,
    seed: int,
    study: Labelled | None = None,
    raters: pd.DataFrame | None = None,
    precision: float = PRECISION,
    quick: bool = False,
    jobs: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run each protocol on estimators as `with_baselines` names them.

    Parameters
    ----------
    study
        Threads that another study has labelled, a row a defect.
    raters
        How well that study's raters agree: `who`, `facet`, `n`, `kappa`, `low`, `high`.
    precision
        That answers shall have where the classifier does not abstain.
    quick
        Leave several repositories out at once, and repeat nothing: for a look at how things stand.
    jobs
        Processes to use; the result does not depend on it.
    """
    groups = find_groups(labelled.documents)
    say(f"{len(labelled)} defects, {groups.duplicates.max() + 1} threads, {len(groups.names)} families of repositories")
    say("repositories left out ...")
    if quick:
        folds = list(several_repositories_out(groups, labelled.labels, seed=seed))
        left_out = evaluate(LEFT_OUT, labelled, estimators, folds, groups.families, jobs=jobs)
    else:
        left_out = evaluate_left_out(labelled, estimators, groups=groups, jobs=jobs)
    say("stratified ...")
    repeats = 1 if quick else 5
    mixed = evaluate_stratified(labelled, estimators, seed=seed, groups=groups, repeats=repeats, jobs=jobs)
    evaluations = [left_out, mixed]
    human, hits = [] if raters is None else [raters], pd.DataFrame()
    if study is not None:
        say("the study's labels ...")
        against, hits = evaluate_against(labelled, study, estimators)
        evaluations.append(against)
        human.insert(0, agreement_with(labelled, study, seed=seed).assign(who="annotators, with the study"))
    say("candidates ...")
    everything = copy(estimators[CLASSIFIER]).fit(labelled.documents, labelled.labels)
    say("learning curve ...")
    sizes = SIZES[1::2] if quick else SIZES
    curve = learning_curve(labelled, estimators[CLASSIFIER], groups, seed=seed, sizes=sizes, repeats=1 if quick else 3, jobs=jobs)
    scored = pd.concat([scores(evaluation, seed=seed) for evaluation in evaluations], ignore_index=True)
    own = list(left_out.predicted[CLASSIFIER].values())
    curves = [coverage(predicted) for predicted in own]
    who = ["who", "facet", "n", "kappa", "low", "high"]
    return Report(
        evaluations,
        scored,
        pd.concat([differences(evaluation, CLASSIFIER, seed=seed) for evaluation in evaluations], ignore_index=True),
        verdicts(scored[scored["protocol"] == LEFT_OUT], CLASSIFIER, [MAJORITY, RULES, WORDS]),
        pd.concat([table[who] for table in human], ignore_index=True) if human else pd.DataFrame(columns=who),
        hits,
        pd.concat([reliability(predicted) for predicted in own], ignore_index=True),
        pd.concat(curves, ignore_index=True),
        pd.DataFrame([_abstention(of, precision) for of in curves]),
        curve,
        worth_of_more(curve, int(groups.duplicates.max()) + 1),
        groups,
        getattr(everything, "candidates_", pd.DataFrame()),
    )


def _abstention(curve: pd.DataFrame, precision: float) -> dict[str, object]:
    chosen = threshold_for(curve, precision)
    if chosen is None:
        return {"facet": curve["facet"].iloc[0], "wanted": precision}
    at = curve[curve["threshold"] == chosen].iloc[0]
    return {"facet": at["facet"], "wanted": precision, **{str(column): at[column] for column in curve.columns[1:]}}


def summary(report: Report, protocol: str, measures: Sequence[str] = ("kappa", "macro_f1")) -> pd.DataFrame:
    """Return a row a facet and estimator with its scores and intervals as text, and people's agreement where it is known."""
    of = report.scores[report.scores["protocol"] == protocol]
    rows = []
    for facet in of["facet"].drop_duplicates():
        for estimator in of["estimator"].drop_duplicates():
            row = {"facet": facet, "by": estimator}
            chosen = of[(of["facet"] == facet) & (of["estimator"] == estimator)].set_index("measure")
            row["n"] = str(int(chosen["n"].iloc[0]))
            for measure in measures:
                row[_SHOWN.get(measure, measure.replace("_", " "))] = _with_interval(
                    *chosen.loc[measure, ["value", "low", "high"]]
                )
            rows.append(row)
        for person in report.human[report.human["facet"] == facet].itertuples():
            row = {
                "facet": facet,
                "by": person.who,
                "n": str(person.n),
                "kappa": _with_interval(person.kappa, person.low, person.high),
            }
            rows.append(row)
    return pd.DataFrame(rows).fillna("")


def _with_interval(value: float, low: float, high: float) -> str:
    return with_interval(value, low, high) or "undefined"


def tables(report: Report) -> list[Table]:
    """Return the report's tables."""
    left_out = report.evaluations[0]
    worth = pd.DataFrame(
        [(w.facet, w.threads, w.kappa, w.more, w.gain, w.low, w.high) for w in report.worth],
        columns=["facet", "threads", "kappa", "more", "gain", "low", "high"],
    )
    merged = pd.DataFrame(
        [(names[0], name) for names in report.groups.merged for name in names[1:]], columns=["family", "repository"]
    )
    made = [
        _printed("scores", "Scores out of fold, with 95 % bootstrap intervals.", report.scores, _all_protocols(report)),
        _printed(
            "differences",
            "The classifier less each other, on the same resamples.",
            report.differences,
            _differences_shown(report),
        ),
        Table(
            "verdicts", "Facets that the classifier has learnt, and those of which it says nothing by default.", report.verdicts
        ),
        Table("human", "How well people agree: Cohen's kappa.", report.human),
        Table("reliability", "How often answers are right, by how sure the classifier was.", report.reliability),
        Table("coverage", "How many answers are right, by how many threads get one.", report.coverage),
        Table("abstention", "Where to abstain so that answers are precise.", report.abstention),
        Table("learning-curve", "Kappa by the number of labelled threads, on repositories left out.", report.curve.frame),
        Table("worth", "What more labelled threads would add to kappa.", worth),
        Table("families", "Repositories that are left out together.", merged),
    ]
    if len(report.candidates):
        made.append(Table("candidates", "What the classifier chose from, facet by facet.", report.candidates))
    if len(report.hits):
        made.append(Table("hits", "How often any of a thread's defects was hit.", report.hits))
    for facet, predicted in left_out.predicted[CLASSIFIER].items():
        counts = confusion(predicted).rename_axis(index=None, columns=None).rename_axis("labelled").reset_index()
        made.append(Table(f"confusion-{facet}", f"{facet}: what is labelled (rows) by what the classifier said.", counts))
    return made


def _printed(name: str, caption: str, frame: pd.DataFrame, shown: pd.DataFrame) -> Table:
    return Table(name, caption, frame, printed=Table(name, caption, shown))


def _all_protocols(report: Report) -> pd.DataFrame:
    parts = [
        summary(report, evaluation.protocol, list(_SHOWN)).assign(protocol=evaluation.protocol)
        for evaluation in report.evaluations
    ]
    together = pd.concat(parts, ignore_index=True).fillna("")
    return together[["protocol", *(column for column in together.columns if column != "protocol")]]


def _differences_shown(report: Report) -> pd.DataFrame:
    kappas = report.differences[report.differences["measure"] == "kappa"]
    shown = kappas[["protocol", "facet", "other", "n"]].copy()
    values = kappas[["difference", "low", "high"]].to_numpy(dtype=float)
    shown["difference in kappa"] = [_with_interval(*row) for row in values]
    return shown


def figures(report: Report, taxonomy: Taxonomy) -> dict[str, Chart]:
    """Draw the report's figures, by name."""
    left_out = report.evaluations[0]
    titles: Mapping[str, str] = {facet: taxonomy.facet(facet).title for facet in left_out.facets}
    made = {
        "reliability": reliability_diagram(report.reliability, titles),
        "coverage": precision_by_coverage(report.coverage, titles),
        "learning-curve": learning_curves(report.curve.frame, titles),
    }
    for facet, predicted in left_out.predicted[CLASSIFIER].items():
        of, counts = taxonomy.facet(facet), confusion(predicted)
        order = [category for category in of.ids if category in counts.index]
        named = {category: of.label(category) for category in order}
        shown = counts.loc[order, order].rename(index=named, columns=named)
        made[f"confusion-{facet}"] = confusion_matrix(shown, f"{of.title} (n = {predicted.n}; repositories left out)")
    return made


def files(report: Report, taxonomy: Taxonomy) -> dict[str, bytes]:
    """Return the report as files: tables as CSV and LaTeX, figures as SVG and PDF."""
    made = tables(report)
    charts = figures(report, taxonomy)
    return table_files(made) | {
        f"{name}.{form}": chart.to_bytes(form) for name, chart in charts.items() for form in ("svg", "pdf")
    }
