"""The network: its layers, its checkpoint and sidecar, and the backends that compute its logits.
Add an architecture in model.py or a backend in backends.py; checkpoints of earlier versions must still load.
The stages train, evaluate and robustness call it, and so does serving; the report reads the sidecar."""
