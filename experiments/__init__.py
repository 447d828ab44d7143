"""Studies that train several networks from the pipeline's prepared frames. `dvc repro` does not run them."""
