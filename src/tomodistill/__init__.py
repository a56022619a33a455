"""Fast classification of macromolecules in cryo-electron tomograms by knowledge distillation."""

__version__ = "0.1.0"
