"""Prepared frames: decoded, cropped and resized once, then read as memory-mapped pixels.
Frames stay uint8 until network/normalise.py; filters.py has what augmentation and corruptions share.
The stage prepare writes them; network, training, inference and evaluation read them."""
