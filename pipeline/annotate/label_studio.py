"""Label Studio: a labelling interface made from a taxonomy, the tasks to label by it, and its export read back.

The controls of the interface follow from the taxonomy alone. What a page does not show counts for nothing: Label Studio keeps the
answers of a form that is hidden again, and neither its annotators nor this module look at them.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from itertools import count, groupby
from typing import Any, TypeVar
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.annotate.annotation import Annotation, Answers, Task, Worksheet, check
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.taxonomy import Category, Facet, Taxonomy
from pipeline.thread import Text, Thread

_ELSEWHERE = "ELSEWHERE"  # the ids of categories have no capitals
_YES = "yes"
_DOT = " \N{MIDDLE DOT} "
_ISSUE = "issue"
_MARKS = {
    "discuss": ("To discuss", "You want to talk about this issue."),
    "slow": ("Took more than ten minutes", "Reading and labelling it."),
}
_THREAD, _MARKED, _LANGUAGE, _NOTE = "thread", "marks", "translated", "note"

# In the order of a keyboard. `u` is Label Studio's own; the digits with shift come last, since some keyboards need it for digits.
_KEYS = [*"1234567890qwertyiopasdfghjklzxcvbnm", *(f"shift+{key}" for key in "qwertyuiopasdfghjklzxcvbnm1234567890")]

# Where another version of Label Studio calls its parts otherwise, the page is only less compact.
_STYLE = """
.rd-page { display: flex; gap: 16px; height: calc(100vh - 190px); min-height: 420px; }
.rd-thread, .rd-form { flex: 1 1 50%; min-width: 0; }
.rd-thread { display: flex; flex-direction: column; }
.rd-posts, .rd-form { min-height: 0; overflow-y: auto; padding-right: 6px; }
.rd-page h3, .rd-page h4 { margin: 2px 0 !important; font-size: 14px; line-height: 18px; overflow-wrap: anywhere; }
.rd-page h3 { font-size: 17px; line-height: 22px; }
.rd-head h4:last-child, .rd-state h4, .rd-group h4 { font-weight: normal; font-size: 12px; line-height: 16px; opacity: 0.7; }
.rd-facet { margin-bottom: 8px; }
.rd-form .lsf-choice { line-height: 22px !important; }
.rd-defect { border-top: 1px solid rgba(128, 128, 128, 0.4); margin-top: 6px; padding-top: 4px; }
.rd-thread [class*="authorFilter"], .rd-thread [class*="selectAllBtn"], .rd-thread [class*="time--"] { display: none; }
.rd-thread [class*="phrase--"] { display: block; padding: 4px 8px; margin: 0 0 6px; }
.rd-thread [class*="dialoguename"] { font-size: 12px; padding: 0; background: none; }
.rd-thread [class*="dialoguetext"] { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px; line-height: 18px; }
.rd-thread [class*="container--"] { margin-top: 6px; }
"""


@dataclass(frozen=True, slots=True)
class _Control:
    """The choice of one category of a facet.

    Attributes
    ----------
    when
        The control and the choice there that show this one; None if it is always shown.
    elsewhere
        What the last choice is called, that leads to the facet's other categories; empty if none are left.
    """

    name: str
    facet: Facet
    categories: list[Category]
    when: tuple[str, str] | None = None
    elsewhere: str = ""


def interface(taxonomy: Taxonomy, most_defects: int = 3) -> bytes:
    """Write the labelling interface: the thread, questions on the issue, and a form for each of so many defects."""
    keys = iter(_KEYS)
    view = Element("View")
    SubElement(view, "Style").text = _STYLE
    page = SubElement(view, "View", className="rd-page")
    thread = SubElement(page, "View", className="rd-thread")
    SubElement(thread, "Header", value="$title", size="4")
    SubElement(thread, "HyperText", name="link", value="$link", inline="true", clickableLinks="true", selectionEnabled="false")
    SubElement(SubElement(thread, "View", className="rd-state"), "Header", value="$state", size="5")
    posts = SubElement(thread, "View", className="rd-posts")
    SubElement(posts, "Paragraphs", name=_THREAD, value="$posts", layout="dialogue", nameKey="who", textKey="text")

    form = SubElement(page, "View", className="rd-form")
    of_issue = _controls(taxonomy.issue_facets, _ISSUE)
    _ask(form, of_issue, "", keys)
    # The ends of the form and of its parts come first for the keys, of which there are fewer than choices.
    marks = Element("View", className="rd-defect", idAttr=_MARKED)
    marked = _choices(marks, _MARKED, choice="multiple")
    for mark, (label, hint) in _MARKS.items():
        _offer(marked, mark, label, hint, keys)
    ends = [Element("View", className="rd-facet", idAttr=_another(number)) for number in range(1, most_defects)]
    for number, end in enumerate(ends, start=1):
        another = _choices(end, _another(number), choice="multiple")
        _offer(another, _YES, "There is another defect", "Opens one more form.", keys)
    inner = form
    for control in of_issue:
        if final := [c.id for c in control.categories if c.final]:
            inner = _shown(inner, control.name, final, unless=True)
    for number in range(1, most_defects + 1):
        if number > 1:
            inner = _shown(inner, _another(number - 1), [_YES])
        defect = SubElement(inner, "View", className="rd-defect")
        SubElement(defect, "Header", value=f"Defect {number}", size="4")
        _ask(defect, _controls(taxonomy.defect_facets, _defect(number)), f"Defect {number}: ", keys)
        defect.extend(ends[number - 1 : number])
    form.append(marks)
    for name, title, rows in ((_LANGUAGE, "Translated from (if not in English)", "1"), (_NOTE, "Note", "2")):
        place = SubElement(form, "View", className="rd-facet", idAttr=name)
        SubElement(place, "Header", value=title, size="5")
        SubElement(
            place, "TextArea", name=name, toName=_THREAD, maxSubmissions="1", editable="true", rows=rows, showSubmitButton="false"
        )  # fmt: skip
    indent(view)
    return tostring(view, encoding="unicode").encode() + b"\n"  # Label Studio refuses a declaration


def _defect(number: int) -> str:
    return f"defect{number}"


def _another(number: int) -> str:
    return f"another{number}"


def _controls(facets: list[Facet], part: str) -> list[_Control]:
    """Return the controls by which facets are answered, of the issue or of one of its defects, each after what shows it."""
    made: list[_Control] = []
    for facet in facets:
        name = f"{part}_{facet.id}"
        if facet.narrowed_by is None:
            made.append(_Control(name, facet, facet.choices))
            continue
        for earlier in [control for control in made if control.facet.id == facet.narrowed_by]:
            path = earlier.name.removeprefix(f"{part}_{facet.narrowed_by}")
            for category in earlier.categories:
                near = [c for c in facet.choices if not (groups := _groups(facet, c)) or category.id in groups]
                rest = [c for c in facet.choices if c not in near]
                if category.id not in {group for c in near for group in _groups(facet, c)}:
                    near, rest = facet.choices, []
                here = f"{name}{path}_{category.id}"
                title = f"Of another {earlier.facet.title.lower()} \N{HORIZONTAL ELLIPSIS}" if rest else ""
                made.append(_Control(here, facet, near, (earlier.name, category.id), title))
                if rest:
                    made.append(_Control(f"{here}_{_ELSEWHERE}", facet, rest, (here, _ELSEWHERE)))
    return made


def _groups(facet: Facet, category: Category) -> list[str]:
    """Return the groups that a category is in, the nearest first."""
    found: list[str] = []
    group = category.parent
    while group is not None:
        found.append(group)
        group = facet.parent(group)
    return found


def _ask(form: Element, controls: list[_Control], which: str, keys: Iterator[str]) -> None:
    for control in controls:
        facet = control.facet
        place = SubElement(form if control.when is None else _shown(form, control.when[0], [control.when[1]]), "View")
        place.set("className", "rd-facet")
        place.set("idAttr", control.name)
        if control.when is None or control.when[1] != _ELSEWHERE:
            head = SubElement(place, "View", className="rd-head")
            SubElement(head, "Header", value=facet.title, size="5")
            SubElement(head, "Header", value=facet.question, size="5")
        choices = _choices(
            place, control.name, choice="single", required="true", requiredMessage=f"{which}{facet.title} has no answer."
        )  # fmt: skip
        has_groups = len({c.parent for c in control.categories if c.parent is not None}) > 1
        for group, members in groupby(control.categories, key=lambda c: c.parent):
            inside = choices
            if has_groups and group is not None:
                inside = SubElement(choices, "View", className="rd-group")
                SubElement(inside, "Header", value=facet.label(group), size="5")
            for category in members:
                _offer(inside, category.id, category.label, category.definition, keys)
        if control.elsewhere:
            _offer(choices, _ELSEWHERE, control.elsewhere, "Shows the other categories.", keys)


def _choices(place: Element, name: str, **attributes: str) -> Element:
    return SubElement(place, "Choices", {"name": name, "toName": _THREAD, "layout": "inline", **attributes})


def _offer(choices: Element, choice: str, label: str, hint: str, keys: Iterator[str]) -> None:
    offer = SubElement(choices, "Choice", value=label, alias=choice, hint=hint)
    if key := next(keys, None):
        offer.set("hotkey", key)


def _shown(place: Element, control: str, choices: list[str], unless: bool = False) -> Element:
    """Add a part of the page that is shown when one of these choices is chosen, or unless one is."""
    when = "choice-unselected" if unless else "choice-selected"
    return SubElement(place, "View", visibleWhen=when, whenTagName=control, whenChoiceValue=",".join(choices))


def defects_needed(worksheet: Worksheet, at_least: int = 3) -> int:
    """Return for how many defects an interface needs a form, so that it can show what was said before of each issue."""
    return max([at_least, *(len(task.annotation.defects) for task in worksheet.tasks if task.annotation is not None)])


def tasks(worksheet: Worksheet) -> bytes:
    """Write the tasks of a worksheet as Label Studio imports them."""
    content = [_task(worksheet, task) for task in worksheet.tasks]
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def _task(worksheet: Worksheet, task: Task) -> dict[str, Any]:
    before = {} if task.annotation is None else task.annotation.suggested
    suggested = {facet: category for facet, (category, _) in task.suggested.items()}
    made: dict[str, Any] = {
        "data": {
            "study": worksheet.study,
            "batch": worksheet.batch,
            "round": worksheet.round,
            "annotator": worksheet.annotator,
            "taxonomy": worksheet.taxonomy.id,
            "repository": task.issue.repository,
            "number": task.issue.number,
            "suggested": {**before, **suggested},
            **_shown_thread(task.issue, task.thread),
        }
    }
    if task.annotation is not None:
        made["annotations"] = [{"result": list(_said(task.annotation, worksheet.taxonomy))}]
    if task.suggested:
        results = [
            result | {"score": task.suggested[control.facet.id][1]}
            for facets, part in ((worksheet.taxonomy.issue_facets, _ISSUE), (worksheet.taxonomy.defect_facets, _defect(1)))
            for control, result in _answered(_controls(facets, part), suggested)
        ]
        score = min(probability for _, probability in task.suggested.values())
        made["predictions"] = [{"model_version": "redefect", "score": score, "result": results}]
    return made


def _shown_thread(issue: IssueReference, thread: Thread | None) -> dict[str, Any]:
    """Return what the page shows of a thread. All of it is shown as text but for the link, which is markup."""
    link = f'<a href="{escape(issue.url)}" target="_blank">{escape(f"{issue.repository}#{issue.number}")}</a>'
    if thread is None:
        posts = [
            {"who": "", "text": "The text of this issue is not in the store; read it on GitHub."}
        ]  # without any, the page hangs
        return {"title": "", "link": link, "state": "", "posts": posts}
    about = [thread.state or "", f"fix: {thread.fix}" if thread.fix else "", ", ".join(thread.labels or ())]
    written = [
        (thread.author, thread.created_at, thread.body),
        *((c.author, c.created_at, c.body) for c in thread.comments or ()),
    ]
    return {
        "title": thread.title,
        "link": link,
        "state": _DOT.join(filter(None, about)),
        "posts": [
            {"who": _DOT.join(filter(None, (author or "unknown", f"{at:%Y-%m-%d %H:%M}" if at else ""))), "text": body or ""}
            for author, at, body in written
        ],
    }


def _said(annotation: Annotation, taxonomy: Taxonomy) -> Iterator[dict[str, Any]]:
    """Yield an annotation as the results of controls."""
    for _, result in _answered(_controls(taxonomy.issue_facets, _ISSUE), annotation.answers):
        yield result
    for number, answers in enumerate(annotation.defects, start=1):
        if number > 1:
            yield _chosen(_another(number - 1), [_YES])
        for _, result in _answered(_controls(taxonomy.defect_facets, _defect(number)), answers):
            yield result
    if marks := [mark for mark, is_set in (("discuss", annotation.discuss), ("slow", annotation.slow)) if is_set]:
        yield _chosen(_MARKED, marks)
    for name, text in ((_LANGUAGE, annotation.translated), (_NOTE, annotation.note)):
        if text:
            yield {"from_name": name, "to_name": _THREAD, "type": "textarea", "value": {"text": [text]}}


def _answered(controls: list[_Control], answers: Answers) -> Iterator[tuple[_Control, dict[str, Any]]]:
    """Yield the controls that are shown for these answers and what is chosen there."""
    chosen = set[tuple[str, str] | None]({None})
    for control in controls:
        answer = answers.get(control.facet.id)
        if answer is None or control.when not in chosen:
            continue
        if answer not in {c.id for c in control.categories}:
            if not control.elsewhere:
                continue
            answer = _ELSEWHERE
        chosen.add((control.name, answer))
        yield control, _chosen(control.name, [answer])


def _chosen(name: str, choices: list[str]) -> dict[str, Any]:
    return {"from_name": name, "to_name": _THREAD, "type": "choices", "value": {"choices": choices}}


class _Exported(BaseModel):
    """A part of an export, of which only what is read here is looked at."""

    model_config = ConfigDict(strict=True, frozen=True)


class _Data(_Exported):
    study: Text
    round: Text = Field(min_length=1)
    annotator: Text
    taxonomy: Text
    repository: Text = Field(pattern=r"^[^/\s]+/[^/\s]+$")
    number: int = Field(ge=1, le=2**31 - 1)
    suggested: dict[Text, Text]


class _Person(_Exported):
    id: int | None = None
    email: Text = ""


class _Value(_Exported):
    choices: list[Text] = []
    text: Text | list[Text] = []


class _Result(_Exported):
    from_name: Text
    value: _Value


class _Done(_Exported):
    result: list[_Result]
    completed_by: int | Text | _Person | None = None
    was_cancelled: bool | None = None


class _Task(_Exported):
    annotations: list[_Done] = []


ExportedT = TypeVar("ExportedT", bound=_Exported)


def read_export(
    content: bytes, where: str, taxonomy: Taxonomy, study: str, annotators: Mapping[str, str] | None = None
) -> list[Annotation]:
    """Read Label Studio's export in its format JSON, in its order. Skipped tasks, and those not yet labelled, are left out.

    Parameters
    ----------
    where
        What to call the export in errors.
    annotators
        Who is who, by the id or e-mail of Label Studio, where tasks do not name their annotator.

    Raises
    ------
    RedefectError
        If it is no export, or of other tasks, or an annotation cannot be true; the sentence begins with `where`.
    """
    try:
        exported = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RedefectError(f"{where}: is no JSON ({error}); export the project from Label Studio anew, as JSON.") from None
    if not isinstance(exported, list):
        raise RedefectError(f"{where}: is no list of tasks; export the project from Label Studio as JSON.")
    found: dict[tuple[IssueReference, str, str], Annotation] = {}
    for place, task in enumerate(exported, start=1):
        data = _read(
            _Data, task.get("data") if isinstance(task, dict) else None, f"{where}: task {place}: is none that was written here",
            "export the project that they were imported into, as JSON, not as JSON-MIN.",
        )  # fmt: skip
        issue = IssueReference(data.repository, data.number)
        what = f"{where}: {issue.repository}#{issue.number}"
        for of_task, expected, kind in ((data.study, study, "study"), (data.taxonomy, taxonomy.id, "taxonomy")):
            if of_task != expected:
                raise RedefectError(f"{what}: is a task of {kind} '{of_task}', not of '{expected}'; export the right project.")
        read = _read(_Task, task, f"{what}: is not as Label Studio exports it", "export the project anew, as JSON.")
        done = [annotation for annotation in read.annotations if not annotation.was_cancelled]
        if data.annotator and len({_person(annotation) for annotation in done}) > 1:
            raise RedefectError(
                f"{what}: is a task of '{data.annotator}' that several people labelled; delete the annotations of the others."
            )
        for annotation in done:
            annotator = data.annotator or _find(annotation, annotators or {}, what)
            given = _annotation(annotation, issue, annotator, data, taxonomy, what)
            check(given, taxonomy, where)
            if found.setdefault((issue, annotator, data.round), given) != given:
                raise RedefectError(
                    f"{what}: is labelled twice by '{annotator}' in round '{data.round}', and not alike; delete the wrong one."
                )
    return list(found.values())


def _read(model: type[ExportedT], content: Any, what: str, remedy: str) -> ExportedT:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise RedefectError(f"{what} ({key + ': ' if key else ''}{first['msg']}); {remedy}") from None


def _person(annotation: _Done) -> str:
    """Return the id, or else the e-mail, of who labelled; empty if the export does not tell."""
    by = annotation.completed_by
    if isinstance(by, _Person):
        by = by.email if by.id is None else by.id
    return "" if by is None else str(by)


def _find(annotation: _Done, annotators: Mapping[str, str], what: str) -> str:
    known = {_person(annotation)}
    if isinstance(annotation.completed_by, _Person):
        known.add(annotation.completed_by.email)
    for name, annotator in annotators.items():
        if name in known:
            return annotator
    raise RedefectError(
        f"{what}: does not name its annotator, and nothing is known of '{_person(annotation)}', who labelled it in Label Studio; "
        "say who that is."
    )


def _annotation(done: _Done, issue: IssueReference, annotator: str, data: _Data, taxonomy: Taxonomy, what: str) -> Annotation:
    choices: dict[str, list[str]] = defaultdict(list)
    texts: dict[str, list[str]] = defaultdict(list)
    for result in done.result:
        _check_asked(result.from_name, taxonomy, what)
        choices[result.from_name] += result.value.choices
        texts[result.from_name] += [result.value.text] if isinstance(result.value.text, str) else result.value.text
    if strange := sorted(set(choices[_MARKED]) - _MARKS.keys()):
        raise RedefectError(f"{what}: is marked '{strange[0]}', which means nothing here; known are {', '.join(_MARKS)}.")
    answers = _answers(_controls(taxonomy.issue_facets, _ISSUE), choices, what)
    defects: list[Answers] = []
    if not any(c.final for facet in taxonomy.issue_facets for c in facet.choices if answers.get(facet.id) == c.id):
        for number in count(1):
            defects.append(_answers(_controls(taxonomy.defect_facets, _defect(number)), choices, f"{what}: defect {number}"))
            if _YES not in choices[_another(number)]:
                break
    return Annotation(
        issue=issue,
        annotator=annotator,
        round=data.round,
        answers=answers,
        defects=tuple(defects),
        discuss="discuss" in choices[_MARKED],
        slow="slow" in choices[_MARKED],
        translated="\n".join(texts[_LANGUAGE]),
        note="\n".join(texts[_NOTE]),
        suggested=data.suggested,
    )


def _check_asked(name: str, taxonomy: Taxonomy, what: str) -> None:
    if name in (_MARKED, _LANGUAGE, _NOTE) or re.fullmatch(r"another[0-9]+", name):
        return
    part, _, rest = name.partition("_")
    facets = taxonomy.issue_facets if part == _ISSUE else taxonomy.defect_facets if re.fullmatch(r"defect[0-9]+", part) else []
    if rest.partition("_")[0] not in [facet.id for facet in facets]:
        raise RedefectError(f"{what}: has an answer to '{name}', which taxonomy '{taxonomy.id}' does not ask; label it anew.")


def _answers(controls: list[_Control], choices: Mapping[str, list[str]], what: str) -> Answers:
    """Return the answers that a page shows, which are the last that its choices lead to."""
    chosen = set[tuple[str, str] | None]({None})
    answers: dict[str, str] = {}
    for control in controls:
        given = sorted(set(choices.get(control.name, [])))
        if not given or control.when not in chosen:
            continue
        if len(given) > 1:
            raise RedefectError(f"{what}: has {len(given)} answers to '{control.facet.title}', {', '.join(given)}; keep one.")
        chosen.add((control.name, given[0]))
        if not (control.elsewhere and given[0] == _ELSEWHERE):
            answers[control.facet.id] = given[0]
    return answers
