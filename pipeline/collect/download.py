"""Published files that a study reads: fetched from where their authors keep them, or taken from a local folder."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipeline.errors import RedefectError
from pipeline.files import explained, sha256
from pipeline.study import DownloadedFile, Study

if TYPE_CHECKING:
    import requests

LOCAL_FOLDER_VARIABLE = "REDEFECT_STUDY_DATA"
_PIECE = 64 * 1024
_TIMEOUT = (10, 60)  # seconds to connect, and between two pieces
_MOST_RESUMPTIONS = 5


def fetch_study_data(
    study: Study, local_folder: Path | None, say: Callable[[str], None], base_url: str | None = None
) -> list[Path]:
    """Bring a study's published files into its folder, each checked by SHA-256 before it gets its name.

    A file that is already there with the right hash is not fetched again; one that was cut off goes on where it stopped.

    Parameters
    ----------
    local_folder
        A folder that holds the files, laid out as the study's own folder or as their authors' is; nothing is fetched then.
        Files that are optional may be missing there, and on a server.
    base_url
        Where to fetch from instead of the study file's address (a mirror).

    Raises
    ------
    RedefectError
        If the study has nothing to download, a file is missing, cannot be fetched, or has another hash.
    """
    import requests  # the check of files that are there needs no network

    if study.download is None:
        raise RedefectError(f"Study '{study.name}' has no published data to fetch; it is complete as it is.")
    folder = study.root / study.download.folder
    paths: list[Path] = []
    with requests.Session() as session:
        for file in study.download.files:
            target = folder / file.place
            if local_folder is not None and file.optional and not target.is_file() and _in_folder(local_folder, file) is None:
                say(f"{target}: is not in {local_folder}; left out, the study goes without it")
                continue
            with explained(target.parent):
                target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_file() and sha256(target) == file.sha256:
                say(f"{target}: is there already")
            else:
                part = target.with_name(target.name + ".part")
                if local_folder is not None:
                    _copy(_in_folder(local_folder, file) or local_folder / file.place, part)
                elif not _fetch(session, (base_url or study.download.base_url) + quote(file.path), part, optional=file.optional):
                    say(f"{target}: the server does not have it; left out, the study goes without it")
                    continue
                _accept(part, target, file, "folder" if local_folder else "server")
                say(f"{target}: {'copied' if local_folder else 'fetched'}, SHA-256 as published")
            paths.append(target)
    return paths


def check_study_data(study: Study) -> None:
    """Check that a study's published files are there and are the published ones.

    Raises
    ------
    RedefectError
        If one is missing or has another SHA-256.
    """
    if study.download is None:
        return
    for file in study.download.files:
        path = study.root / study.download.folder / file.place
        if not path.is_file():
            if file.optional:
                continue
            raise RedefectError(
                f"{path}: there is no such file; `make study-data` fetches it, or takes it from the folder named in "
                f"{LOCAL_FOLDER_VARIABLE}."
            )
        if (found := sha256(path)) != file.sha256:
            raise RedefectError(
                f"{path}: has SHA-256 {found[:12]}... instead of {file.sha256[:12]}...: it is truncated or was changed; "
                "remove it and run `make study-data`."
            )


def _in_folder(folder: Path, file: DownloadedFile) -> Path | None:
    """Find a file in a local folder that is laid out as the study's own is, or as the place is that the file comes from."""
    return next((path for path in (folder / file.place, folder / file.path) if path.is_file()), None)


def _copy(source: Path, part: Path) -> None:
    if not source.is_file():
        raise RedefectError(f"{source}: there is no such file; check the folder in {LOCAL_FOLDER_VARIABLE}.")
    with explained(part):
        shutil.copyfile(source, part)


def _accept(part: Path, target: Path, file: DownloadedFile, origin: str) -> None:
    found = sha256(part)
    if found != file.sha256:
        part.unlink()
        raise RedefectError(
            f"{target}: what came has SHA-256 {found[:12]}... instead of {file.sha256[:12]}...; it was thrown away. "
            f"Run the command again, or check the {origin} it came from."
        )
    with explained(target):
        part.replace(target)


def _fetch(session: "requests.Session", url: str, part: Path, *, optional: bool) -> bool:
    """Fetch to `part`, going on where an earlier attempt stopped; tell whether an optional file is there."""
    import requests

    for _ in range(_MOST_RESUMPTIONS):
        have = part.stat().st_size if part.exists() else 0
        try:
            headers = {"Range": f"bytes={have}-"} if have else {}
            with session.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
                if answer.status_code == requests.codes.requested_range_not_satisfiable:
                    return True  # all of it had come before; the hash tells whether it is right
                if optional and answer.status_code == requests.codes.not_found:
                    return False
                if not answer.ok:
                    raise RedefectError(f"{url}: the server answers {answer.status_code} {answer.reason}; try again later.")
                resumes = answer.status_code == requests.codes.partial_content
                with part.open("ab" if resumes else "wb") as file:
                    for piece in answer.iter_content(_PIECE):
                        with explained(part):  # around the write alone: the network's errors are the system's to Python, too
                            file.write(piece)
            return True
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            reason = str(error)
    raise RedefectError(
        f"{url}: cannot be fetched ({reason[:200]}); run the command again when there is a network, it goes on where it "
        f"stopped; or put the files into a folder and name it in {LOCAL_FOLDER_VARIABLE}."
    )
