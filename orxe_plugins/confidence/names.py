"""The confidence providers of this project: name -> module that registers it; read without importing torch."""

BUILT_IN = {
    "advantage": "orxe_plugins.confidence.advantage",
    "box_doubt": "orxe_plugins.confidence.boxes",
    "constant": "orxe_plugins.confidence.constant",
    "margin": "orxe_plugins.confidence.softmax",
    "max_softmax": "orxe_plugins.confidence.softmax",
    "mean_box_score": "orxe_plugins.confidence.boxes",
    "mean_pixel": "orxe_plugins.confidence.pixels",
    "negative_entropy": "orxe_plugins.confidence.softmax",
    "ranking_gate": "orxe_plugins.confidence.gate",
}
