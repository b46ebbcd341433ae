"""Reports: tables, pictures, CSV, JSON and an HTML page of an evaluation."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.report.content.evaluation import evaluation_document, write_report
    from orxe_plugins.report.content.gate import gate_document, write_gate_report
    from orxe_plugins.report.content.saver import saver_document, write_saver_report
    from orxe_plugins.report.document import Document, Picture
    from orxe_plugins.report.evidence import Evidence
    from orxe_plugins.report.figures.gate import gate_figure
    from orxe_plugins.report.files import ReportFiles, write_document
    from orxe_plugins.report.tables import Column, Table
    from orxe_plugins.report.theme import DARK, LIGHT, Theme, save_figure
else:
    _PLACES = {
        "Column": "orxe_plugins.report.tables",
        "DARK": "orxe_plugins.report.theme",
        "Document": "orxe_plugins.report.document",
        "Evidence": "orxe_plugins.report.evidence",
        "LIGHT": "orxe_plugins.report.theme",
        "Picture": "orxe_plugins.report.document",
        "ReportFiles": "orxe_plugins.report.files",
        "Table": "orxe_plugins.report.tables",
        "Theme": "orxe_plugins.report.theme",
        "evaluation_document": "orxe_plugins.report.content.evaluation",
        "gate_document": "orxe_plugins.report.content.gate",
        "gate_figure": "orxe_plugins.report.figures.gate",
        "save_figure": "orxe_plugins.report.theme",
        "saver_document": "orxe_plugins.report.content.saver",
        "write_document": "orxe_plugins.report.files",
        "write_gate_report": "orxe_plugins.report.content.gate",
        "write_report": "orxe_plugins.report.content.evaluation",
        "write_saver_report": "orxe_plugins.report.content.saver",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "DARK",
    "LIGHT",
    "Column",
    "Document",
    "Evidence",
    "Picture",
    "ReportFiles",
    "Table",
    "Theme",
    "evaluation_document",
    "gate_document",
    "gate_figure",
    "save_figure",
    "saver_document",
    "write_document",
    "write_gate_report",
    "write_report",
    "write_saver_report",
]
