"""One thin script for each entry point of MLproject: flags -> call -> record."""
