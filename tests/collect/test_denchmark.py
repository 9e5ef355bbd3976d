import io
import lzma
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.denchmark import plain_text, read_denchmark
from pipeline.errors import RedefectError
from pipeline.facts import Flaw

GOOD = """<bug id='{id}' author='ann' open_date='2020-01-31T12:00:00Z' closed_time='2020-02-01T00:00:00Z'>
	<summary>It crashes</summary>
	<description>
See &lt;denchmark-link:https://example.org&gt;the page&lt;/denchmark-link&gt;
, please.
	</description>
	<comments>
		<comment id='1' author='ann' date='2020-01-31T13:00:00Z'>
		same here
		</comment>
	</comments>
</bug>"""


def archive(path: Path, files: dict[str, str | bytes], **member: object) -> Path:
    with tarfile.open(path, "w:xz") as tar:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in member.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
    return path


def both_forms(tmp_path: Path, files: dict[str, str | bytes]) -> list[Path]:
    folder = tmp_path / "folder"
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [archive(tmp_path / "a.tar.xz", files), folder]


def test_a_bug_report_becomes_a_thread_whose_commenters_are_unknown(tmp_path: Path) -> None:
    for path in both_forms(tmp_path, {"o+n/7.xml": GOOD.format(id=7)}):
        flaws: list[Flaw] = []
        (thread,) = read_denchmark(path, flaws.append)
        assert [(f.where, f.what, f.done) for f in flaws] == [
            ("1 comments", "carry the name of the issue's opener", "commenters are unknown")
        ]
        assert (thread.repository, thread.number, thread.title, thread.author) == ("o/n", 7, "It crashes", "ann")
        assert thread.body == "See [the page](https://example.org), please."
        assert thread.state == "closed"
        assert thread.labels is None
        assert thread.comments is not None
        (comment,) = thread.comments
        assert (comment.author, comment.body) == (None, "same here")


def test_malformed_and_foreign_files_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "o+n/1.xml": GOOD.format(id=1),
        "o+n/2.xml": "<bug id='2'>\x08</bug>",
        "o+n/3.xml": "<bug id='3'><description><n0:a/></description></bug>",
        "o+n/4.xml": b"\0" * 200,
        "o+n/5.xml": GOOD.format(id=6),
        "o+n/8.xml": GOOD.format(id=8).replace("2020-01-31T12", "2020-31-01T12"),
        "list.csv": "o/n,bug,1",
        "o+n/9.xml": b" " * (17 * 2**20),
    }
    for path in both_forms(tmp_path, files):
        flaws: list[Flaw] = []
        assert [thread.number for thread in read_denchmark(path, flaws.append)] == [1]
        by_name = {flaw.where: f"{flaw.what}; {flaw.done}" for flaw in flaws if "comments" not in flaw.where}
        assert set(by_name) == set(files) - {"o+n/1.xml"}
        assert by_name["list.csv"] == "is no bug report; left unread"
        assert by_name["o+n/5.xml"] == "is malformed: the file is named 5.xml and its issue 6; left out"
        assert "created_at" in by_name["o+n/8.xml"]
        assert by_name["o+n/9.xml"] == f"has more than {16 * 2**20} bytes; left out"


def test_a_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    bombs = {
        "many": f'<!DOCTYPE bug [<!ENTITY e0 "ha">{entities}]><bug id="1"><summary>&e11;</summary></bug>',
        "quiet": '<!DOCTYPE bug [<!ENTITY e0 "ha">]><bug id="1"><summary>&e0;</summary></bug>',
        "file": '<!DOCTYPE bug [<!ENTITY e SYSTEM "file:///etc/passwd">]><bug id="1"><summary>&e;</summary></bug>',
    }
    for name, bomb in bombs.items():
        with pytest.raises(RedefectError, match=r"o\+n/1\.xml declares a document type"):
            list(read_denchmark(archive(tmp_path / f"{name}.tar.xz", {"o+n/1.xml": bomb}), lambda _: None))


@pytest.mark.parametrize("name", ["../o+n/1.xml", "/o+n/1.xml", "o+n/../../1.xml"])
def test_a_member_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RedefectError, match="leads outside of the archive or is no plain file"):
        list(read_denchmark(archive(tmp_path / "a.tar.xz", {name: GOOD.format(id=1)}), lambda _: None))


def test_links_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.xz", {"o+n/1.xml": ""}, type=tarfile.SYMTYPE, linkname="/etc/passwd")
    with pytest.raises(RedefectError, match="leads outside of the archive or is no plain file"):
        list(read_denchmark(path, lambda _: None))
    (tmp_path / "folder" / "o+n").mkdir(parents=True)
    (tmp_path / "folder" / "o+n" / "1.xml").symlink_to("/etc/passwd")
    with pytest.raises(RedefectError, match=r"1\.xml: is a link"):
        list(read_denchmark(tmp_path / "folder", lambda _: None))


def test_a_truncated_a_damaged_and_a_missing_archive_are_one_sentence(tmp_path: Path) -> None:
    whole = archive(tmp_path / "a.tar.xz", {f"o+n/{i}.xml": GOOD.format(id=i) + "<!-- -->" * i for i in range(1, 200)})
    data = whole.read_bytes()
    for cut in (len(data) // 2, len(data) - 20, 10, 0):
        (tmp_path / "cut.tar.xz").write_bytes(data[:cut])
        with pytest.raises(RedefectError, match=r"cut\.tar\.xz: is truncated, damaged or no \.tar\.xz archive"):
            list(read_denchmark(tmp_path / "cut.tar.xz", lambda _: None))
    (tmp_path / "short.tar.xz").write_bytes(lzma.compress(lzma.decompress(data)[: 10 * 1536 + 700]))
    with pytest.raises(RedefectError, match="is truncated"):
        list(read_denchmark(tmp_path / "short.tar.xz", lambda _: None))
    with pytest.raises(RedefectError, match="there is no such file"):
        list(read_denchmark(tmp_path / "none.tar.xz", lambda _: None))


@pytest.mark.parametrize(
    ("defanged", "markdown"),
    [
        ("<denchmark-link:https://x.org>https://x.org</denchmark-link>", "https://x.org"),
        ("<denchmark-link:https://github.com/a>@a</denchmark-link>\n thanks", "@a thanks"),
        ("<denchmark-link:https://github.com/a/b/pull/181>#181</denchmark-link>", "#181"),
        ("<denchmark-link:https://x.org/badge.svg></denchmark-link>", "https://x.org/badge.svg"),
        ("<denchmark-h:h3>A\n b</denchmark-h>", "### A b"),
        ("a\n<denchmark-h:hr></denchmark-h>\nb", "a\n---\nb"),
        ("<denchmark-code>x = 1\n  y\n</denchmark-code>", "```\nx = 1\n  y\n```"),
        ("<denchmark-code>never closed", "never closed"),
        ("a < b and <b> stay", "a < b and <b> stay"),
    ],
)
def test_defanged_mark_up_becomes_what_people_wrote(defanged: str, markdown: str) -> None:
    assert plain_text(defanged) == markdown


PARTS = [
    "<denchmark-link:x>", "</denchmark-link>", "<denchmark-code>", "</denchmark-code>", "<denchmark-h:h2>", "</denchmark-h>",
    "<denchmark-h:hr>", "\n", "word ", " . ",
]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS)))
def test_no_tag_is_ever_left_and_no_word_is_lost(parts: list[str]) -> None:
    text = plain_text("".join(parts))
    assert "denchmark" not in text
    assert text.count("word") == parts.count("word ")
    assert plain_text(text) == text


def test_all_of_denchmark_is_read(denchmark: Path) -> None:
    flaws: list[Flaw] = []
    threads = comments = tagged = 0
    repositories = set()
    for thread in read_denchmark(denchmark, flaws.append):
        threads += 1
        comments += len(thread.comments or ())
        repositories.add(thread.repository)
        tagged += "<denchmark-" in (thread.body or "")
    assert (threads, comments, len(repositories), tagged) == (26_143, 125_367, 238, 0)
    assert sorted(flaw.where for flaw in flaws if flaw.done == "left out") == [
        "espnet+espnet/2443.xml", "pyro-ppl+pyro/192.xml", "tensorflow+tensorflow/27222.xml",
    ]  # fmt: skip
