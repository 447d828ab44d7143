"""How exactly imported detectors compute what their authors' networks compute, with drawn weights, in float64.

    python -m experiments.imported [RECIPE...]

prints a row for each recipe: the largest relative difference of logits at its own size, 129 and 96 pixels, and at the
last what it is with a wrong padding, a wrong eps and the wrong row of the head. It takes minutes.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from deepfake_detection.importing.recipes import Input, recipes
from tests.support.detectors import DETECTORS, compared


def main() -> None:
    print(f"{'recipe':24} {'pixels':>6} {'right':>9} {'padding':>9} {'eps':>9} {'row':>9}")
    for name in sys.argv[1:] or DETECTORS:
        asked = recipes()[name].input or Input()
        size = asked.size or DETECTORS[name][2]["given"].size
        with TemporaryDirectory() as folder:
            found = compared(name, Path(folder), [size, 129, 96], drawn_at=128)
        print(f"{name:24} {size:6} " + " ".join(f"{value:9.1e}" for value in found.values()), flush=True)


if __name__ == "__main__":
    main()
