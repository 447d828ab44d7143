"""Frames as the network receives them: prepared pixels, the data set, augmentation, corruptions, normalisation.
Add an augmentation or a corruption here; frames must stay uint8 until normalise.py.
The stages prepare, train, evaluate and robustness call it; network, training and evaluation build on it."""
