"""Bug reports of the Denchmark data set (Kim et al., MSR 2021): one XML file an issue, in a folder a repository.

Read straight from the published .tar.xz, or from its unpacked folder. What is in the files is data from strangers: XML
with a document type or entities is refused, and so is an archive whose members lead outside of it.
"""

import lzma
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from lxml import etree
from pydantic import ValidationError

from pipeline.errors import RedefectError
from pipeline.facts import Flaw
from pipeline.thread import Comment, Thread

_LARGEST_FILE = 16 * 2**20
"""Bytes; the largest real file has 0.6 million, and what is larger would only fill the memory."""

_LINK = re.compile(r"<denchmark-link:([^>\n]*)>([^<]*)</denchmark-link>")
# Written without `.*?`, which goes letter by letter through long code; `*+` never goes back.
_CODE = re.compile(r"<denchmark-code>([^<]*+(?:<(?!/denchmark-code>)[^<]*+)*+)</denchmark-code>")
_HEADING = re.compile(r"<denchmark-h:h([1-6])>([^<]*+(?:<(?!/denchmark-h>)[^<]*+)*+)</denchmark-h>")
_RULE = re.compile(r"<denchmark-h:hr>\s*</denchmark-h>")
_LEFT_OVER = re.compile(r"</?denchmark-(?:link|code|h)(?::[^>\n]*)?>")
# The data set's tool broke the line after each link. A sentence that went on begins with a space or a stop.
_BROKEN_AFTER_LINK = re.compile(r"</denchmark-link>\n(?=[ ,.;:!?)])")


def read_denchmark(path: Path, report: Callable[[Flaw], None]) -> Iterator[Thread]:
    """Yield the threads of an archive or a folder, one at a time; `report` is told what is malformed or unread.

    Comments come without authors: in this data set each carries the name of the issue's opener. Whether an issue had
    tracker labels is not known from it. An archive is read in its own order, a folder in sorted order.

    Raises
    ------
    RedefectError
        If the archive is missing, truncated or damaged, a member leads outside, or a file holds an XML attack.
    """
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False)
    files = _folder(path) if path.is_dir() else _archive(path)
    comments = 0
    for name, data in files:
        where = PurePosixPath(name)
        name = str(where)
        owner_and_name = where.parent.name.split("+")
        if where.suffix != ".xml" or len(owner_and_name) != 2:
            report(Flaw(path.name, name, "is no bug report", "left unread"))
            continue
        if data is None:
            report(Flaw(path.name, name, f"has more than {_LARGEST_FILE} bytes", "left out"))
            continue
        try:
            root = etree.fromstring(data, parser)
            if root.getroottree().docinfo.internalDTD is not None:
                raise _attack(path, name)
            thread = _thread("/".join(owner_and_name), root, where)
            comments += len(thread.comments or ())
            yield thread
        except etree.XMLSyntaxError as error:
            if b"<!DOCTYPE" in data:
                raise _attack(path, name) from None
            report(Flaw(path.name, name, f"is malformed: {error.msg}", "left out"))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            report(Flaw(path.name, name, f"is malformed: {key}: {first['msg']}", "left out"))
        except ValueError as error:
            report(Flaw(path.name, name, f"is malformed: {error}", "left out"))
    if comments:
        report(Flaw(path.name, f"{comments} comments", "carry the name of the issue's opener", "commenters are unknown"))


def _attack(path: Path, name: str) -> RedefectError:
    return RedefectError(
        f"{path}: {name} declares a document type, which no bug report does and an attack with entities needs; remove that file."
    )


def _archive(path: Path) -> Iterator[tuple[str, bytes | None]]:
    try:
        with lzma.open(path) as file, tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                if member.name.startswith("/") or ".." in member.name.split("/") or not (member.isfile() or member.isdir()):
                    raise RedefectError(
                        f"{path}: member '{member.name}' leads outside of the archive or is no plain file; get the archive "
                        "from its publisher again."
                    )
                archive.members.clear()  # type: ignore[attr-defined]  # it keeps all headers; 26,000 of them are 30 MB
                if member.isfile():
                    content = archive.extractfile(member)
                    assert content is not None  # noqa: S101 (a plain file has contents)
                    yield member.name, content.read() if member.size <= _LARGEST_FILE else None
            while file.read(2**20):  # to the end, where a truncated file shows itself even when all members were there
                pass
    except FileNotFoundError:
        raise RedefectError(f"{path}: there is no such file.") from None
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise RedefectError(f"{path}: is truncated, damaged or no .tar.xz archive ({error}); download it again.") from None
    except OSError as error:
        raise RedefectError(f"{path}: cannot be read ({error.strerror or error}).") from None


def _folder(path: Path) -> Iterator[tuple[str, bytes | None]]:
    for file in sorted(path.rglob("*")):
        if file.is_symlink():
            raise RedefectError(f"{file}: is a link, which may lead outside of the folder; remove it.")
        if file.is_file():
            name = file.relative_to(path).as_posix()
            yield name, file.read_bytes() if file.stat().st_size <= _LARGEST_FILE else None


def _thread(repository: str, root: etree._Element, where: PurePosixPath) -> Thread:
    number = root.get("id", "")
    if number != where.stem:
        raise ValueError(f"the file is named {where.name} and its issue {number or 'nothing'}")
    return Thread(
        repository=repository,
        number=int(number),
        title=(root.findtext("summary") or "").strip(),
        body=plain_text(root.findtext("description") or ""),
        state="closed" if root.get("closed_time") else None,
        author=root.get("author") or None,
        created_at=root.get("open_date"),  # type: ignore[arg-type]  # the model parses times
        closed_at=root.get("closed_time"),  # type: ignore[arg-type]  # as above
        comments=tuple(
            Comment(created_at=comment.get("date"), body=plain_text(comment.text or ""))  # type: ignore[arg-type]  # as above
            for comment in root.iterfind("comments/comment")
        ),
    )


def plain_text(text: str) -> str:
    """Turn the data set's defanged mark-up back into the Markdown that people wrote.

    Links, code blocks, headings and rules become Markdown's; a link whose text is its address, a mention or an issue's
    number becomes that text alone. Tags without a partner are removed.
    """
    if "denchmark-link" in text:
        text = _LINK.sub(_link, _BROKEN_AFTER_LINK.sub("</denchmark-link>", text))
    if "denchmark-code" in text:
        text = _CODE.sub(lambda match: f"```\n{match[1].rstrip()}\n```", text)
    if "denchmark-h" in text:
        text = _RULE.sub("---", text)
        text = _HEADING.sub(lambda match: f"{'#' * int(match[1])} {' '.join(match[2].split())}", text)
    if "denchmark-" in text:
        text = _LEFT_OVER.sub("", text)
    return text.strip()


def _link(match: re.Match[str]) -> str:
    address, text = match[1], match[2].strip()
    if not text:
        return address
    if text == address or text.startswith("@") or re.fullmatch(r"#\d+", text):
        return text
    return f"[{text}]({address})"
