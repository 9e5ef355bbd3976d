"""What describes a data package to machines: Frictionless, Croissant, RO-Crate, Zenodo, Citation File Format, data dictionary."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from pipeline.cells import disarm
from pipeline.export.package_facts import PackageFacts, read_input
from pipeline.package_formats import TIME_FORMAT
from pipeline.package_tables import Field, PackageTable, tables
from pipeline.study import Creator
from pipeline.taxonomy import Taxonomy

Files = Mapping[str, bytes]
Json = dict[str, Any]

KEYWORDS = ["mining software repositories", "empirical software engineering", "defect taxonomy", "deep learning"]
SOFTWARE = "ReDefect"

_ARXIV = re.compile(r"https?://arxiv\.org/abs/([\w./-]+)")
_MEDIA = {
    "cff": "text/yaml", "csv": "text/csv", "json": "application/json", "md": "text/markdown",
    "parquet": "application/vnd.apache.parquet", "toml": "application/toml", "yaml": "text/yaml",
}  # fmt: skip


def keywords(facts: PackageFacts) -> list[str]:
    """Return a package's keywords: all packages', then its own."""
    return list(dict.fromkeys([*KEYWORDS, *facts.study.dataset.keywords]))


def licence_address(licence: str) -> str:
    """Return where a licence stands, by its SPDX identifier."""
    return f"https://spdx.org/licenses/{licence}"


def taxonomy_doi(taxonomy: Taxonomy) -> str | None:
    """Return the DOI of the paper that a taxonomy comes from, if that is on arXiv."""
    found = _ARXIV.fullmatch(taxonomy.source.url)
    return f"10.48550/arXiv.{found[1]}" if found else None


def citation(facts: PackageFacts) -> str:
    """Return how to cite a package, in one line."""
    dataset = facts.study.dataset
    who = "; ".join(creator.name for creator in dataset.creators)
    place = f" https://doi.org/{dataset.doi}" if dataset.doi else ""
    return f"{who} ({facts.published[:4]}): {facts.title}. Version {dataset.version}. Data set.{place}"


def to_json(document: Json) -> bytes:
    """Return a document as JSON to be read, keys in the order in which they were put."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


# Frictionless


def datapackage(facts: PackageFacts, files: Files) -> Json:
    """Return the descriptor of a Frictionless data package (datapackage.org, versions 1 and 2): CSV files with their schemas."""
    dataset = facts.study.dataset
    return {
        "name": facts.name.casefold(),
        "title": facts.title,
        "description": facts.description,
        "version": dataset.version,
        **({"id": f"https://doi.org/{dataset.doi}"} if dataset.doi else {}),
        "keywords": keywords(facts),
        "licenses": _licenses(facts),
        "sources": [
            {"title": facts.taxonomy.source.citation, **({"path": url} if (url := facts.taxonomy.source.url) else {})},
            *({"title": f"Published data: {d.folder}", "path": d.base_url} for d in [facts.study.download] if d),
        ],
        "contributors": [{"title": creator.name, "role": "author"} for creator in dataset.creators],
        "resources": [_resource(table, files) for table in facts.tables],
    }


def _licenses(facts: PackageFacts) -> list[Json]:
    licence = facts.study.dataset.license
    own = {"name": licence, "path": licence_address(licence), "title": "What the creators made themselves"}
    return [own] if facts.is_free else [own, {"path": "LICENSES.md", "title": "What is others': see there"}]


def _resource(table: PackageTable, files: Files) -> Json:
    path = f"tables/{table.name}.csv"
    return {
        "name": table.name,
        "path": path,
        "description": table.description,
        "profile": "tabular-data-resource",
        "type": "table",
        "scheme": "file",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "bytes": len(files[path]),
        "hash": f"sha256:{_sha256(files[path])}",
        "dialect": {"delimiter": ",", "lineTerminator": "\n", "quoteChar": '"', "doubleQuote": True, "header": True},
        "schema": {
            "fields": [_field(table, field) for field in table.fields],
            "missingValues": [""],
            "primaryKey": list(table.key),
            **({"foreignKeys": [_foreign_key(table)]} if table.refers else {}),
        },
    }


def _field(table: PackageTable, field: Field) -> Json:
    kinds = {"strings": "array", "time": "datetime"}
    constraints: Json = {}
    # An empty text is a value, which readers of CSV cannot tell from a missing one.
    if field.name in table.key or (not field.optional and field.type != "string"):
        constraints["required"] = True
    if field.type == "integer" and field.name != "seed":
        constraints["minimum"] = 1 if field.name in ("number", "position", "turn", "row", "run") else 0
    if field.name == "probability":
        constraints |= {"minimum": 0, "maximum": 1}
    if field.name == "digest":
        constraints["pattern"] = "[0-9a-f]{64}"
    return {
        "name": field.name,
        "type": kinds.get(field.type, field.type),
        **({"format": TIME_FORMAT} if field.type == "time" else {}),
        "description": field.description,
        **({"constraints": constraints} if constraints else {}),
    }


def _foreign_key(table: PackageTable) -> Json:
    other = _key_of(table)
    return {"fields": list(other), "reference": {"resource": table.refers, "fields": list(other)}}


def _key_of(table: PackageTable) -> tuple[str, ...]:
    """Return the columns by which a table refers to another: that one's key, under the same names."""
    return next(other.key for other in tables(with_text=True) if other.name == table.refers)


def dictionary(facts: PackageFacts) -> bytes:
    """Return the data dictionary as CSV: a row a column of a table; `values` lists categories as facet=category|category."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["table", "column", "type", "optional", "key", "refers_to", "description", "values"])
    for table in facts.tables:
        reference = dict.fromkeys(_key_of(table), table.refers) if table.refers else {}
        for field in table.fields:
            cells = [
                table.name, field.name, field.type, _yes(field.optional), _yes(field.name in table.key),
                f"{reference[field.name]}.{field.name}" if field.name in reference else "", field.description,
                _values(facts.taxonomy, field),
            ]  # fmt: skip
            writer.writerow([disarm(cell) for cell in cells])
    return file.getvalue().encode()


def _yes(true: bool) -> str:
    return "true" if true else "false"


def _values(taxonomy: Taxonomy, field: Field) -> str:
    if field.name == "facet":
        return "; ".join(facet.id for facet in taxonomy.facets)
    if field.name == "category":
        return "; ".join(f"{facet.id}={'|'.join(facet.ids)}" for facet in taxonomy.facets)
    return "open; closed" if field.name == "state" else "true; false" if field.type == "boolean" else ""


# Croissant

_CROISSANT_CONTEXT: Json = {
    "@language": "en", "@vocab": "https://schema.org/", "arrayShape": "cr:arrayShape", "citeAs": "cr:citeAs",
    "column": "cr:column", "conformsTo": "dct:conformsTo", "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/", "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"}, "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field",
    "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet", "format": "cr:format",
    "includes": "cr:includes", "isArray": "cr:isArray", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath",
    "key": "cr:key", "md5": "cr:md5", "name": {"@container": "@language"}, "parentField": "cr:parentField", "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/", "recordSet": "cr:recordSet", "references": "cr:references",
    "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace", "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/", "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip
_CROISSANT_TYPES = {
    "string": "sc:Text", "integer": "sc:Integer", "number": "sc:Float", "boolean": "sc:Boolean", "time": "sc:DateTime",
    "strings": "sc:Text",
}  # fmt: skip


def croissant(facts: PackageFacts, files: Files) -> Json:
    """Return Croissant metadata (mlcommons.org/croissant/1.1): all tables as files, and as record sets read from Parquet."""
    dataset = facts.study.dataset
    licence = licence_address(dataset.license)
    return {
        "@context": _CROISSANT_CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": facts.name,
        "description": facts.description,
        "version": dataset.version,
        "datePublished": facts.published,
        "license": licence
        if facts.is_free
        else [
            licence,
            {"@type": "sc:CreativeWork", "name": "Others' parts", "description": "Not under this licence: see LICENSES.md."},
        ],
        "keywords": keywords(facts),
        "citeAs": citation(facts),
        **({"url": f"https://doi.org/{dataset.doi}"} if dataset.doi else {}),
        "creator": [{"@type": f"sc:{_kind(creator)}", "name": creator.name} for creator in dataset.creators],
        "isLiveDataset": False,
        "distribution": [_file_object(path, files[path]) for path in sorted(files) if path.startswith("tables/")],
        "recordSet": [_record_set(table) for table in facts.tables],
    }


def _kind(creator: Creator) -> str:
    return "Person" if "," in creator.name else "Organization"


def _file_object(path: str, content: bytes) -> Json:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path.rpartition("/")[2],
        "contentUrl": path,
        "contentSize": f"{len(content)} B",
        "encodingFormat": "application/x-parquet" if path.endswith(".parquet") else "text/csv",
        "sha256": _sha256(content),
    }


def _record_set(table: PackageTable) -> Json:
    def field(told: Field) -> Json:
        # Croissant joins by one field: a reference by several would multiply rows, and is in datapackage.json only.
        refers = table.refers is not None and told.name == "repository"
        return {
            "@type": "cr:Field",
            "@id": f"{table.name}/{told.name}",
            "name": told.name,
            "description": told.description,
            "dataType": _CROISSANT_TYPES[told.type],
            **({"isArray": True, "arrayShape": "-1"} if told.type == "strings" else {}),
            "source": {"fileObject": {"@id": f"tables/{table.name}.parquet"}, "extract": {"column": told.name}},
            **({"references": {"field": {"@id": "repositories/repository"}}} if refers else {}),
        }

    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "description": table.description,
        "key": [{"@id": f"{table.name}/{name}"} for name in table.key],
        "field": [field(told) for told in table.fields],
    }


# RO-Crate


def ro_crate(facts: PackageFacts, files: Files) -> Json:
    """Return RO-Crate 1.1 metadata: every file, and every command that made the data, with what it read and the software."""
    dataset, software = facts.study.dataset, f"#{SOFTWARE.casefold()}-{facts.software_version}"
    by_digest = {_sha256(content): name for name, content in files.items()}
    authors: list[Json] = [_author(creator, i) for i, creator in enumerate(dataset.creators, start=1)]
    runs: list[Json] = []
    versions = {facts.software_version}
    inputs: dict[str, Json] = {}
    for run in facts.rows["runs"].to_pylist():
        versions.add(run["version"])
        read = dict(map(read_input, run["inputs"]))
        if run["study_digest"]:
            read.setdefault(f"data/studies/{run['study']}.toml", run["study_digest"])
        objects = []
        for name, digest in sorted(read.items()):
            entity = by_digest.get(digest) or f"#input-{digest}"
            objects.append({"@id": entity})
            if digest not in by_digest:
                inputs[entity] = {"@id": entity, "@type": "CreativeWork", "name": name, "sha256": digest}
        of_study = f" --study {run['study']}" if run["study"] else ""
        runs.append(
            {
                "@id": f"#run-{run['run']}",
                "@type": "CreateAction",
                "name": f"redefect {run['command']}{of_study}",
                "instrument": {"@id": f"#{SOFTWARE.casefold()}-{run['version']}"},
                **({"object": _one_or_all(objects)} if objects else {}),
                "result": {"@id": "tables/"},
            }
        )
    written: Json = {
        "@id": "#package",
        "@type": "CreateAction",
        "name": f"redefect dataset --study {facts.study.name}" + (" --with-text" if facts.with_text else ""),
        "description": "Pseudonymised, redacted, scanned and described what the commands before it had stored.",
        "instrument": {"@id": software},
        "object": {"@id": "study/"},
        "result": {"@id": "./"},
    }
    folders = {
        "tables/": "The tables, each as CSV and as Parquet.",
        "study/": "What the analyses of the study read besides the tables.",
    }
    top = sorted(name for name in files if not name.startswith(tuple(folders)))
    papers = list(dict.fromkeys(doi for doi in [*dataset.papers, taxonomy_doi(facts.taxonomy)] if doi))
    root: Json = {
        "@id": "./",
        "@type": "Dataset",
        "name": facts.title,
        "description": facts.description,
        "datePublished": facts.published,
        "version": dataset.version,
        "license": {"@id": "LICENSES.md"},
        "keywords": keywords(facts),
        "author": _one_or_all([{"@id": author["@id"]} for author in authors]),
        "publisher": {"@id": authors[0]["@id"]},
        **({"identifier": f"https://doi.org/{dataset.doi}"} if dataset.doi else {}),
        **({"citation": _one_or_all([{"@id": f"https://doi.org/{doi}"} for doi in papers])} if papers else {}),
        "hasPart": [{"@id": name} for name in [*folders, *top]],
        "mentions": _one_or_all([{"@id": action["@id"]} for action in [*runs, written]]),
    }
    described = [_crate_file(name, files[name]) for name in sorted(files)]
    graph: list[Json] = [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        root,
        *(
            {
                "@id": folder,
                "@type": "Dataset",
                "name": folder.rstrip("/"),
                "description": about,
                "hasPart": _one_or_all([{"@id": name} for name in sorted(files) if name.startswith(folder)]),
            }
            for folder, about in folders.items()
        ),
        *described,
        *({"@id": f"https://doi.org/{doi}", "@type": "ScholarlyArticle", "name": f"doi:{doi}"} for doi in papers),
        *authors,
        *(
            {
                "@id": f"#{SOFTWARE.casefold()}-{version}",
                "@type": "SoftwareApplication",
                "name": SOFTWARE,
                "softwareVersion": version,
                "license": {"@id": licence_address("Apache-2.0")},
            }
            for version in sorted(versions)
        ),
        {
            "@id": licence_address("Apache-2.0"),
            "@type": "CreativeWork",
            "name": "Apache-2.0",
            "description": "Apache License 2.0",
        },
        *inputs.values(),
        *runs,
        written,
    ]
    return {"@context": ["https://w3id.org/ro/crate/1.1/context", {"sha256": "http://schema.org/sha256"}], "@graph": graph}


def _one_or_all(entities: list[Json]) -> Json | list[Json]:
    """Return what there is as RO-Crate wants it: one alone, several as a list."""
    return entities[0] if len(entities) == 1 else entities


def _author(creator: Creator, number: int) -> Json:
    return {
        "@id": f"https://orcid.org/{creator.orcid}" if creator.orcid else f"#creator-{number}",
        "@type": _kind(creator),
        "name": creator.name,
        **({"affiliation": creator.affiliation} if creator.affiliation else {}),
    }


def _crate_file(name: str, content: bytes) -> Json:
    return {
        "@id": name,
        "@type": ["File", "CreativeWork"] if name == "LICENSES.md" else "File",
        "name": name,
        "encodingFormat": _MEDIA.get(name.rpartition(".")[2], "text/plain"),
        "contentSize": str(len(content)),
        "sha256": _sha256(content),
        **({"description": "Whose the parts of this package are, and under which terms."} if name == "LICENSES.md" else {}),
    }


# Zenodo and the Citation File Format


def zenodo(facts: PackageFacts) -> Json:
    """Return the metadata of a deposition (developers.zenodo.org), as Zenodo reads it from `.zenodo.json`.

    What holds others' work is deposited with restricted access: nobody but its authors can license it.
    """
    dataset = facts.study.dataset
    doi = taxonomy_doi(facts.taxonomy)
    access: Json = (
        {"access_right": "open", "license": dataset.license}
        if facts.is_free
        else {
            "access_right": "restricted",
            "access_conditions": "Parts of this data set are others' work that its creators cannot license (see LICENSES.md); "
            "ask for access, say what for, and keep to those terms.",
        }
    )
    related: list[Json] = [
        *({"identifier": paper, "relation": "isDerivedFrom", "resource_type": "publication-article"} for paper in dataset.papers),
        *(
            [{"identifier": doi, "relation": "cites", "resource_type": "publication-article"}]
            if doi and doi not in dataset.papers
            else []
        ),
    ]
    return {
        "upload_type": "dataset",
        "title": facts.title,
        "creators": [
            {
                "name": creator.name,
                **({"affiliation": creator.affiliation} if creator.affiliation else {}),
                **({"orcid": creator.orcid} if creator.orcid else {}),
            }
            for creator in dataset.creators
        ],
        "description": facts.description,
        "version": dataset.version,
        "language": "eng",
        "keywords": keywords(facts),
        **access,
        "notes": f"Made by {SOFTWARE} {facts.software_version} (redefect dataset). LICENSES.md tells facts from others' texts.",
        "related_identifiers": [{**one, "scheme": "doi"} for one in related],
        "references": [
            facts.taxonomy.source.citation,
            f"{SOFTWARE} {facts.software_version}: a defect-mining research pipeline.",
        ],
    }


def citation_file(facts: PackageFacts) -> bytes:
    """Return how to cite a package, in the Citation File Format 1.2."""
    dataset, source = facts.study.dataset, facts.taxonomy.source
    authors, _, title = source.citation.partition(": ")
    doi = taxonomy_doi(facts.taxonomy)
    document: Json = {
        "cff-version": "1.2.0",
        "message": "If you use this data set, please cite it, and the paper whose taxonomy it uses.",
        "type": "dataset",
        "title": facts.title,
        "abstract": facts.description,
        "version": dataset.version,
        **({"date-released": facts.published} if len(facts.published) == len("2020-01-31") else {}),
        **({"license": dataset.license} if facts.is_free else {}),
        **({"doi": dataset.doi} if dataset.doi else {}),
        "keywords": keywords(facts),
        "authors": [_cff_author(creator) for creator in dataset.creators],
        "references": [
            {
                "type": "generic",
                "title": title or source.citation,
                "authors": [{"name": name} for name in authors.split(", ")],
                **({"doi": doi} if doi else {}),
                **({"url": source.url} if source.url else {}),
            },
            {
                "type": "software",
                "title": f"{SOFTWARE}: a defect-mining research pipeline",
                "version": facts.software_version,
                "license": "Apache-2.0",
                "authors": [{"name": "The ReDefect developers"}],
            },
        ],
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=130).encode()


def _cff_author(creator: Creator) -> Json:
    family, comma, given = creator.name.partition(", ")
    name = {"family-names": family, "given-names": given} if comma else {"name": creator.name}
    return {
        **name,
        **({"affiliation": creator.affiliation} if creator.affiliation and comma else {}),
        **({"orcid": f"https://orcid.org/{creator.orcid}"} if creator.orcid else {}),
    }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
