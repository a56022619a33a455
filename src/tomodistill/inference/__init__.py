"""From a model version to decisions: version folder, engines, Classifier. Needs no registry."""
