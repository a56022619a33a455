"""Classification of more subtomograms than fit into memory, each exactly once."""
