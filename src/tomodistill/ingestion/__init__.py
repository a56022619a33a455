"""From experimental subtomograms, as people have them, to a subtomogram set."""
