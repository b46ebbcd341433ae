"""What reports say: one document for an evaluation, one for a saver, one for ranking gates."""

from typing import TYPE_CHECKING

from orxe_plugins.util.lazy import lazy_names

if TYPE_CHECKING:
    from orxe_plugins.report.content.evaluation import evaluation_document, write_report
    from orxe_plugins.report.content.gate import gate_document, write_gate_report
    from orxe_plugins.report.content.saver import saver_document, write_saver_report
else:
    _PLACES = {
        "evaluation_document": "orxe_plugins.report.content.evaluation",
        "gate_document": "orxe_plugins.report.content.gate",
        "saver_document": "orxe_plugins.report.content.saver",
        "write_gate_report": "orxe_plugins.report.content.gate",
        "write_report": "orxe_plugins.report.content.evaluation",
        "write_saver_report": "orxe_plugins.report.content.saver",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)

__all__ = [
    "evaluation_document",
    "gate_document",
    "saver_document",
    "write_gate_report",
    "write_report",
    "write_saver_report",
]
