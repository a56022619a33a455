"""One thin script for each entry point of MLproject: flags -> call -> record."""

NAMES = (
    "main",
    "simulate",
    "grid",
    "teacher",
    "soft_labels",
    "distill",
    "compare",
    "promote",
    "rollback",
    "status",
    "serve",
)
