"""The parameters: one module for each section of params.yaml, with the type, limits and meaning of each key.
To add a key, edit its section and conf/, then run `make docs`; a stage reruns when a section that it reads changes.
Every stage calls load_params in load.py; the library takes single sections."""
