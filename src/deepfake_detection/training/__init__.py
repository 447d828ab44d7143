"""Training: augmentation, the batches, one step of the optimiser, the whole run, several devices, resuming.
Add an augmentation in effects.py, a loss or an optimiser in classifier.py; a run on a CPU must repeat to the byte.
The stages train and pretrain call it."""
