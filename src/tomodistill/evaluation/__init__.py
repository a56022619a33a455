"""Accuracy, cost, speed and figures: values in, values out; nothing is recorded here."""
