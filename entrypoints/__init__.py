"""One thin script for each entry point of MLproject: flags -> call -> record."""

NAMES = (
    "main",
    "simulate",
    "grid",
    "teacher",
    "soft_labels",
    "distill",
    "sweep",
    "compare",
    "robustness",
    "promote",
    "rollback",
    "status",
    "serve",
)
