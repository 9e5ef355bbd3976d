import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.collect.download import check_study_data, fetch_study_data
from pipeline.errors import RedefectError
from pipeline.study import Study, read_study

FILES = {"One Table.csv": b"a,b\n" * 50_000, "Two.xlsx": bytes(range(256)) * 10}


class Server(ThreadingHTTPServer):
    """A file server on loopback that can break in the ways that servers do."""

    cuts = 0  # how many answers still end in the middle
    broken = False  # whether answers hold other bytes
    missing = False
    requests: list[tuple[str, str | None]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers["Range"]))
        data = FILES[self.path.rpartition("/")[2].replace("%20", " ")]
        if self.server.missing:
            self.send_error(404)
            return
        if self.server.broken:
            data = data[::-1]
        start = int(match[1]) if (match := re.match(r"bytes=(\d+)-", self.headers["Range"] or "")) else 0
        if start >= len(data) > 0 and start:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if self.server.cuts:
            self.server.cuts -= 1
            self.wfile.write(data[start : start + (len(data) - start) // 2])
            self.wfile.flush()
            self.connection.close()
        else:
            self.wfile.write(data[start:])

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (http.server's word)
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.requests = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def study(root: Path, server: Server) -> Study:
    path = root / "data" / "studies" / "demo.toml"
    listed = "".join(f'{{ path = "{n}", sha256 = "{hashlib.sha256(d).hexdigest()}" }},\n' for n, d in FILES.items())
    url = f"http://127.0.0.1:{server.server_address[1]}/at/commit/"
    download = f'[download]\nfolder = "data/raw/demo"\nbase_url = "{url}"\nfiles = [\n{listed}]\n\n'
    path.write_text(path.read_text().replace("[reference]", download + "[reference]"))
    return read_study(path)


def fetch(study: Study, folder: Path | None = None) -> list[str]:
    said: list[str] = []
    fetch_study_data(study, folder, said.append)
    return [line.rpartition("/")[2] for line in said]


def test_files_are_fetched_checked_and_not_fetched_again(study: Study, server: Server) -> None:
    assert fetch(study) == ["One Table.csv: fetched, SHA-256 as published", "Two.xlsx: fetched, SHA-256 as published"]
    check_study_data(study)
    assert len(server.requests) == 2
    assert fetch(study) == ["One Table.csv: is there already", "Two.xlsx: is there already"]
    assert len(server.requests) == 2


def test_a_fetch_that_was_cut_off_goes_on_where_it_stopped(study: Study, server: Server) -> None:
    server.cuts = 3
    fetch(study)
    ranges = [int(r.removeprefix("bytes=").removesuffix("-")) if r else 0 for _, r in server.requests]
    assert len(ranges) == 5
    assert ranges[0] == 0
    assert ranges[1] > 0
    assert ranges[2] > ranges[1]
    check_study_data(study)


def test_a_server_that_never_ends_an_answer_is_given_up_and_resumed_by_the_next_run(study: Study, server: Server) -> None:
    server.cuts = 5
    with pytest.raises(RedefectError, match="cannot be fetched .* it goes on where it stopped"):
        fetch(study)
    fetch(study)
    check_study_data(study)


def test_a_part_that_is_whole_already_is_taken(study: Study) -> None:
    part = study.root / "data" / "raw" / "demo" / "Two.xlsx.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(FILES["Two.xlsx"])
    fetch(study)
    check_study_data(study)


def test_other_bytes_than_published_are_thrown_away(study: Study, server: Server) -> None:
    server.broken = True
    with pytest.raises(RedefectError, match=r"One Table\.csv: what came has SHA-256 .* it was thrown away"):
        fetch(study)
    assert list((study.root / "data" / "raw" / "demo").iterdir()) == []


def test_a_server_s_refusal_and_its_absence_are_one_sentence(study: Study, server: Server) -> None:
    server.missing = True
    with pytest.raises(RedefectError, match="the server answers 404"):
        fetch(study)
    server.shutdown()
    server.server_close()
    with pytest.raises(
        RedefectError, match="cannot be fetched .* put the files into a folder and name it in REDEFECT_STUDY_DATA"
    ):
        fetch(study)


def test_a_local_folder_serves_as_well(study: Study, server: Server, tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    assert fetch(study, tmp_path) == ["One Table.csv: copied, SHA-256 as published", "Two.xlsx: copied, SHA-256 as published"]
    assert server.requests == []
    (tmp_path / "Two.xlsx").write_bytes(b"other")
    (study.root / "data" / "raw" / "demo" / "Two.xlsx").unlink()
    with pytest.raises(RedefectError, match="check the folder it came from"):
        fetch(study, tmp_path)
    (tmp_path / "Two.xlsx").unlink()
    with pytest.raises(RedefectError, match="there is no such file; check the folder in REDEFECT_STUDY_DATA"):
        fetch(study, tmp_path)


def test_a_file_goes_to_its_own_folder_and_is_found_in_either_layout(study: Study, tmp_path: Path) -> None:
    listed = study.path.read_text().replace('path = "Two.xlsx"', 'path = "far/Two.xlsx", folder = "near"')
    study.path.write_text(listed)
    placed = read_study(study.path)
    kept = study.root / "data" / "raw" / "demo" / "near" / "Two.xlsx"
    for folder in ("near", "far"):
        local = tmp_path / folder
        (local / folder).mkdir(parents=True)
        (local / "One Table.csv").write_bytes(FILES["One Table.csv"])
        (local / folder / "Two.xlsx").write_bytes(FILES["Two.xlsx"])
        fetch(placed, local)
        assert kept.read_bytes() == FILES["Two.xlsx"]
        kept.unlink()
    fetch(placed)
    check_study_data(placed)


def test_an_optional_file_may_be_missing_but_not_wrong(study: Study, tmp_path: Path) -> None:
    study.path.write_text(study.path.read_text().replace('path = "Two.xlsx"', 'path = "Two.xlsx", optional = true'))
    lenient = read_study(study.path)
    (tmp_path / "One Table.csv").write_bytes(FILES["One Table.csv"])
    assert fetch(lenient, tmp_path)[-1].endswith("left out, the study goes without it")
    check_study_data(lenient)
    (study.root / "data" / "raw" / "demo" / "Two.xlsx").write_bytes(b"cut")
    with pytest.raises(RedefectError, match="it is truncated or was changed"):
        check_study_data(lenient)


def test_an_optional_file_that_the_server_does_not_have_is_left_out(study: Study, server: Server) -> None:
    study.path.write_text(study.path.read_text().replace(", sha256", ", optional = true, sha256"))
    lenient = read_study(study.path)
    server.missing = True
    without = "the server does not have it; left out, the study goes without it"
    assert fetch(lenient) == [f"{name}: {without}" for name in FILES]
    check_study_data(lenient)


def test_missing_and_changed_files_are_found_before_an_import(study: Study) -> None:
    with pytest.raises(RedefectError, match="there is no such file; `make study-data` fetches it"):
        check_study_data(study)
    fetch(study)
    (study.root / "data" / "raw" / "demo" / "Two.xlsx").write_bytes(b"cut")
    with pytest.raises(RedefectError, match="it is truncated or was changed"):
        check_study_data(study)


def test_a_study_without_published_data_says_so(root: Path) -> None:
    study = read_study(root / "data" / "studies" / "demo.toml")
    check_study_data(study)
    with pytest.raises(RedefectError, match="has no published data to fetch"):
        fetch(study)
