"""Gets the weights that training starts from. An empty file: from scratch."""

from pathlib import Path

from deepfake_detection.params.load import load_params
from deepfake_detection.sources.imagenet import fetch_weights
from stages import run


def main() -> None:
    params = load_params()
    fetch_weights(params.model.arch, params.model.weights, Path("data/weights.pth"))


if __name__ == "__main__":
    run(main)
