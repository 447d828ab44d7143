"""A trained network at work: its checkpoint, its logits on several backends, and what is unfamiliar to it.
Add a backend in backends.py; checkpoints of earlier versions must still load.
The stages calibrate, predict, robustness and report call it, and so does serving."""
