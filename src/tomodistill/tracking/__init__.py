"""The only package that imports mlflow: runs, lineage, registry, gates."""
