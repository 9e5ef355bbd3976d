"""What the validators of Frictionless, Croissant and RO-Crate say of a data package in a folder, without the network.

RO-Crate's finds the context of RO-Crate 1.1 in its own cache of answers.
"""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import mlcroissant
from frictionless import Package, system
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession
from rocrate_validator import services
from rocrate_validator.models import Severity
from urllib3 import HTTPResponse

CONTEXT = "https://w3id.org/ro/crate/1.1/context"

# The terms that packages use, as the context of RO-Crate 1.1 defines them (https://w3id.org/ro/crate/1.1/context).
_SCHEMA_ORG = """
    CreateAction CreativeWork Dataset Organization Person ScholarlyArticle SoftwareApplication about affiliation author citation
    contentSize datePublished description encodingFormat hasPart identifier instrument keywords license mentions name object
    publisher result softwareVersion version url
"""
_TERMS = {term: f"http://schema.org/{term}" for term in _SCHEMA_ORG.split()} | {
    "File": "http://schema.org/MediaObject",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
}


class _Context(HTTPAdapter):
    """Answers with the context."""

    def send(self, request: PreparedRequest, *_arguments: object, **_options: object) -> Response:  # type: ignore[override]
        body = BytesIO(json.dumps({"@context": _TERMS}).encode())
        headers = {"Content-Type": "application/ld+json"}
        answer = HTTPResponse(body, headers, status=200, preload_content=False, request_url=str(request.url))
        return self.build_response(request, answer)


def crate_flaws(folder: Path, cache: Path, severity: Severity = Severity.REQUIRED) -> list[str]:
    """What the validator has to say against the RO-Crate in a folder, a sentence each."""
    with CachedSession(str(cache), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", _Context())
        session.get(CONTEXT)
    settings = services.ValidationSettings(
        rocrate_uri=str(folder),
        profile_identifier="ro-crate-1.1",
        requirement_severity=severity,
        offline=True,
        cache_path=cache,
    )
    result = services.validate(settings)
    return [f"{issue.severity.name}: {issue.message} ({issue.violatingEntity})" for issue in result.get_issues(severity)]


def frictionless_flaws(folder: Path) -> list[str]:
    """What Frictionless has to say against a package's descriptor, its CSV files, and their keys and references."""
    with system.use_context(trusted=False):
        report = Package(str(folder / "datapackage.json")).validate()
    assert len(report.tasks) == len(list((folder / "tables").glob("*.csv")))
    return [error.message for found in (report, *report.tasks) for error in found.errors]


def croissant_rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """The records of a table as Croissant's own library loads them, which first checks the metadata."""
    dataset = mlcroissant.Dataset(str(folder / "croissant.json"))
    assert not dataset.metadata.ctx.issues.report()
    return list(dataset.records(table))
