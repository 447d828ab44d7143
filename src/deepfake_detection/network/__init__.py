"""The network that is trained: its layers, the weights that it starts from, and the sidecar of its checkpoint.
Add an architecture in model.py.
Training and inference build on it."""
