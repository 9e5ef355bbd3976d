"""Figures for print, as PDF and as SVG: text stays text, and each file brings the letters that it uses.

The bytes are the same each time: no file tells when it was made.
"""

import hashlib
import io
from base64 import b64encode
from collections.abc import Mapping
from xml.etree import ElementTree as ET

import matplotlib as mpl
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from matplotlib import font_manager

from pipeline.analyze.figures import Chart
from pipeline.export.latex import prose
from pipeline.export.numbers import macro_name

_SVG = "http://www.w3.org/2000/svg"
_NAMESPACES = {
    "": _SVG,
    "xlink": "http://www.w3.org/1999/xlink",
    "cc": "http://creativecommons.org/ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
}
_FONT = "DejaVu Sans"


def figure_files(charts: Mapping[str, Chart]) -> dict[str, bytes]:
    """Return the files of figures: each as PDF and SVG, and `figures.tex` with what a paper says of them.

    Parameters
    ----------
    charts
        By name.
    """
    files = {"figures.tex": captions(charts)}
    for name, chart in charts.items():
        files |= {f"{name}.pdf": to_pdf(chart), f"{name}.svg": to_svg(chart)}
    return files


def captions(charts: Mapping[str, Chart]) -> bytes:
    """Return LaTeX macros for the caption of each figure, and for its description in words."""
    lines = [
        "% What figures show: a macro for the caption of each, and one with its description for those who cannot see it.",
        r"% \includegraphics[alt={\DistributionStageAlt}]{distribution-stage} \caption{\DistributionStageCaption}",
    ]
    for name, chart in charts.items():
        macro = macro_name(name)
        lines.append(f"% {name}")
        lines.append(f"\\newcommand*{{\\{macro}Caption}}{{{prose(chart.title)}.}}")
        lines.append(f"\\newcommand*{{\\{macro}Alt}}{{{prose(chart.description)}}}")
    return ("\n".join(lines) + "\n").encode()


def to_pdf(chart: Chart) -> bytes:
    """Return a chart as PDF, with the used part of its font as TrueType, its title, and its description as the subject."""
    about = {"Title": chart.title, "Subject": chart.description, "CreationDate": None}
    return _saved(chart, "pdf", about)


def to_svg(chart: Chart) -> bytes:
    """Return a chart as SVG whose text can be read, searched and selected, with the used part of its font.

    The font has a name of its own, so that several figures in one page do not take each other's letters.
    """
    with mpl.rc_context({"svg.fonttype": "none"}):
        drawn = _saved(chart, "svg", {"Title": chart.title, "Date": None})
    for prefix, namespace in _NAMESPACES.items():
        ET.register_namespace(prefix, namespace)
    root = ET.fromstring(drawn)  # noqa: S314  # drawn here
    texts = list(root.iter(f"{{{_SVG}}}text"))
    font = _subset("".join(text.text or "" for text in texts))
    family = f"{_FONT} {hashlib.sha256(font).hexdigest()[:8]}"
    for text in texts:
        text.set("style", text.get("style", "").replace(f"'{_FONT}'", f"'{family}', '{_FONT}', sans-serif"))
    (style,) = root.iter(f"{{{_SVG}}}style")
    face = f"@font-face{{font-family:'{family}';src:url(data:font/ttf;base64,{b64encode(font).decode()}) format('truetype')}}"
    style.text = f"{style.text}{face}"
    root.set("role", "img")
    root.set("aria-label", chart.title)
    description = ET.Element(f"{{{_SVG}}}desc")
    description.text = chart.description
    root.insert(1, description)  # behind the title
    svg: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return svg + b"\n"


def _saved(chart: Chart, form: str, about: dict[str, str | None]) -> bytes:
    file = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "redefect", "pdf.fonttype": 42}):
        chart.savefig(file, format=form, metadata=about)
    return file.getvalue()


def _subset(text: str) -> bytes:
    """Return the part of the font that a text uses, as TrueType."""
    options = Options(hinting=False, layout_features=["kern", "mark", "mkmk"], notdef_outline=True)
    options.drop_tables += ["FFTM"]  # FontForge's time stamps
    font = TTFont(font_manager.findfont(_FONT, fallback_to_default=False), recalcTimestamp=False)
    subsetter = Subsetter(options)
    subsetter.populate(text=text)
    subsetter.subset(font)
    file = io.BytesIO()
    font.save(file, reorderTables=True)
    return file.getvalue()
