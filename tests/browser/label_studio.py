"""A real Label Studio on a loopback port, with data of its own, that talks to nobody else."""

import os
import secrets
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

EMAIL = "ada@example.org"


class LabelStudio:
    """Starts when entered, and ends, with all that it stored forgotten by its folder's owner, when left.

    Parameters
    ----------
    environment
        The virtual environment that it is installed in.
    folder
        Where it keeps its data, and what it prints.
    """

    def __init__(self, environment: Path, folder: Path) -> None:
        self.password, self._token = secrets.token_urlsafe(16), secrets.token_hex(20)
        self._environment, self._folder = environment, folder
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self._port = taken.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        home = self._folder / "home"
        home.mkdir(parents=True)
        environment = {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(home), "LABEL_STUDIO_BASE_DATA_DIR": str(home),
            "LABEL_STUDIO_USERNAME": EMAIL, "LABEL_STUDIO_PASSWORD": self.password, "LABEL_STUDIO_USER_TOKEN": self._token,
            "COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "",
        }  # fmt: skip
        with (self._folder / "printed.txt").open("wb") as printed:
            self._process = subprocess.Popen(
                [
                    self._environment / "bin" / "label-studio", "start", "--no-browser", "--internal-host", "127.0.0.1",
                    "--port", str(self._port), "--enable-legacy-api-token",
                ],
                cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def _wait(self) -> None:
        for _ in range(600):
            assert self._process.poll() is None, (self._folder / "printed.txt").read_text()[-2000:]
            try:
                if requests.get(f"{self.url}/health", timeout=5).ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.2)
        raise AssertionError("Label Studio does not answer")

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Ask its API."""
        answer = requests.request(
            method, f"{self.url}/api{path}", headers={"Authorization": f"Token {self._token}"}, timeout=60, **arguments
        )
        assert answer.ok, answer.text[:2000]
        return answer

    def make_project(self, title: str, interface: bytes, tasks: bytes) -> int:
        """Make a project with this interface and these tasks, as people do by its pages, and return its number."""
        project = self.ask(
            "POST", "/projects", json={"title": title, "label_config": interface.decode(), "show_collab_predictions": True}
        ).json()["id"]
        self.ask("POST", f"/projects/{project}/import", files={"file": ("tasks.json", tasks, "application/json")})
        return int(project)

    def tasks(self, project: int) -> dict[int, int]:
        """Return its numbers of a project's tasks by the issue's number."""
        listed = self.ask("GET", "/tasks", params={"project": project, "page_size": 100, "fields": "all"}).json()["tasks"]
        return {task["data"]["number"]: task["id"] for task in listed}

    def export(self, project: int) -> bytes:
        """Return a project's export in the format JSON."""
        return self.ask("GET", f"/projects/{project}/export", params={"exportType": "JSON"}).content
