"""An article made into a PDF by a real LaTeX: the same bytes everywhere, and nothing that its log complains of let pass."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import RedefectError
from pipeline.files import write

DEBIAN_PACKAGES = ("latexmk", "texlive-latex-extra", "texlive-luatex", "texlive-science")
"""What has to be installed on Debian, by `apt-get install --no-install-recommends`; all else comes with these."""

_COMMAND = [
    "latexmk", "-norc", "-lualatex", "-interaction=nonstopmode", "-halt-on-error", "-file-line-error", "-no-shell-escape",
]  # fmt: skip
# Files are read and written below the article's folder only; dates are fixed; lines of the log are not broken.
_SETTINGS = {
    "openin_any": "p", "openout_any": "p", "max_print_line": "1000",
    "SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8",
}  # fmt: skip
_KEPT = ("PATH", "HOME", "TMPDIR", "TEXMFVAR", "TEXMFCACHE")  # of the environment: other settings of TeX's could tell
_TIMEOUT = 300  # seconds
_POINTS = 1.0  # that a line may stand out: less is not seen
_ERROR = re.compile(r"^! .*|^\S+?:\d+: .*", re.MULTILINE)
_PROBLEM = re.compile(
    r"^(?:LaTeX|Package \w+) (?:Error|Warning): .*(?:undefined|multiply.defined|not found|Float too large).*"
    r"|^Missing character: .*"
    r"|^Overfull \\[hv]box \((?P<points>[\d.]+)pt .*",
    re.MULTILINE,
)
_OPENED = re.compile(r"\(\./([^\s()]+\.tex)\b")  # a file that TeX began to read
_LACKING = re.compile(r"\.(sty|cls|def|bst|tfm|lua)' not found")
_UNSETTLED = "There were undefined"  # the summary of warnings that stand before it


def typeset(files: Mapping[str, bytes], main: str = "article") -> bytes:
    """Compile an article by LuaLaTeX and BibTeX, as often as it takes, and return the PDF.

    Parameters
    ----------
    files
        All that the article is made of: paths below its folder, and contents.
    main
        The article's file, without its ending `.tex`.

    Raises
    ------
    RedefectError
        If there is no LaTeX, or it takes too long, or its log tells of an error, an undefined reference or citation, a missing
        character, or a box that stands out by more than a point; the sentence holds the line of the log.
    """
    if missing := [program for program in ("latexmk", "lualatex") if shutil.which(program) is None]:
        raise RedefectError(f"{missing[0]} is missing, which makes the PDF; {_install()}")
    with tempfile.TemporaryDirectory(prefix="redefect-paper-") as name:
        folder = Path(name)
        for path, content in files.items():
            write(folder / path, content)
        said = _run([*_COMMAND, f"{main}.tex"], folder)
        log = folder / f"{main}.log"
        problem = first_problem(log.read_text("utf-8", "replace")) if log.exists() else None
        pdf = folder / f"{main}.pdf"
        if said is not None and problem is None:
            problem = next((line for line in reversed(said.splitlines()) if line.strip()), "latexmk says nothing").strip()
        if problem is not None:
            hint = f" LaTeX is not complete; {_install()}" if _LACKING.search(problem) else ""
            raise RedefectError(f"The article is not made, since its log says: {problem}{hint}")
        return pdf.read_bytes()


def first_problem(log: str) -> str | None:
    """Return the first line of a LaTeX log that tells of something amiss: see `typeset`; None if all is well.

    Of a box that stands out, the log tells the line but not the file: that which was opened last is named with it.
    """
    if error := _ERROR.search(log):  # which may be why there are undefined references before it
        return " ".join(error[0].split())
    for found in _PROBLEM.finditer(log):
        points = found["points"]
        if _UNSETTLED not in found[0] and (points is None or float(points) > _POINTS):
            opened = _OPENED.findall(log, 0, found.start())
            place = f" (the file read last is {opened[-1]})" if points is not None and opened else ""
            return " ".join(found[0].split()) + place
    return None


def _install() -> str:
    return f"on Debian: apt-get install --no-install-recommends {' '.join(DEBIAN_PACKAGES)}"


def _run(command: list[str], folder: Path) -> str | None:
    """Run a program in a folder; return what it printed if it failed."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | _SETTINGS
    with subprocess.Popen(  # noqa: S603  # a command of ours
        command, cwd=folder, env=environment, text=True, errors="replace", start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            printed, _ = process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise RedefectError(f"{command[0]} was stopped after {_TIMEOUT} seconds; nothing was written.") from None
        finally:
            if process.poll() is None:  # stopped by the clock or by Ctrl-C: what it started goes with it
                os.killpg(process.pid, signal.SIGKILL)
    return printed if process.returncode else None
