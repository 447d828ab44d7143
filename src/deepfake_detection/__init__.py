"""Tells original frames (0) from deepfakes (1) with a fine-tuned EfficientNet."""
