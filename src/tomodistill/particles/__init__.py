"""Particle lists of the field: read, brought to voxels of a tomogram, written back classified."""
