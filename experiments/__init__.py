"""Studies that train several networks. Each folder has a dvc.yaml of its own, which a bare `dvc repro` does not run."""
