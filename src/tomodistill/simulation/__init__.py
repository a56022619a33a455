"""Simulated subtomograms: structures, optics, missing wedge and noise (NumPy and SciPy only)."""
