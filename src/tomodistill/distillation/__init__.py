"""Losses, training and soft labels. A method is a pure function of logits."""
