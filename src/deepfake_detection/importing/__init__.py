"""Checkpoints of others: recipes, names of their layers, and the door for ONNX files.
What it writes is a checkpoint of ours, with a sidecar.
Serving gives it a command."""
