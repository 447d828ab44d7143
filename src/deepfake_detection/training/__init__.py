"""Training: the batches, one step of the optimiser, the whole run, several devices, resuming after a kill.
Add an optimiser or a loss in classifier.py; the result of a run on a CPU must stay the same to the byte.
The train stage calls fit, and benchmarks/train.py times it; the plot stage reads the epoch curves."""
