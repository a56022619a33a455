"""One thin script for each entry point of MLproject: flags -> call -> record."""

NAMES = (
    "main",
    "simulate",
    "ingest",
    "grid",
    "teacher",
    "soft_labels",
    "distill",
    "sweep",
    "search",
    "compare",
    "robustness",
    "promote",
    "rollback",
    "status",
    "export",
    "serve",
    "predict",
)
