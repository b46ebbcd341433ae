"""What reports say: one document for an evaluation, one for a saver, one for ranking gates."""

from orxe_plugins.report.content.evaluation import evaluation_document, write_report
from orxe_plugins.report.content.gate import gate_document, write_gate_report
from orxe_plugins.report.content.saver import saver_document, write_saver_report

__all__ = [
    "evaluation_document",
    "gate_document",
    "saver_document",
    "write_gate_report",
    "write_report",
    "write_saver_report",
]
