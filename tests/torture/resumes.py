"""Two ``predict --resume`` of one output at once, killed at random: ``python -m tests.torture.resumes [--kills 20]``.

As a batch system does that starts a job again which still runs somewhere. The finished file must have each picture
once, with the verdict of a run that nothing disturbed. Any other ending is exit status 1.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from deepfake_detection.network.model import build_model
from deepfake_detection.serving.lines import UNFINISHED
from tests.support.checkpoints import save_checkpoint, sidecar

PICTURES = 2000
PREDICT = [sys.executable, "-m", "deepfake_detection.serving.cli", "predict"]


def verdicts(path: Path) -> list[tuple[str, str]]:
    return sorted((row["path"], row["verdict"]) for row in map(json.loads, path.read_text().splitlines()))


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, pixels = random.Random(options.seed), np.random.default_rng(options.seed)  # noqa: S311
    with tempfile.TemporaryDirectory() as name:
        folder, checkpoint = Path(name), Path(name) / "b0.pth"
        save_checkpoint(checkpoint, build_model("efficientnet_b0", 0.2), sidecar())
        (folder / "pictures").mkdir()
        for number in range(PICTURES):
            noise = pixels.integers(0, 256, (100, 100, 3), np.uint8)
            Image.fromarray(noise).save(folder / "pictures" / f"{number}.png")
        asked = [*PREDICT, str(folder / "pictures"), "--checkpoint", str(checkpoint), "--json", "--resume", "--output"]
        subprocess.run([*asked, str(folder / "undisturbed.jsonl")], check=True, stderr=subprocess.DEVNULL)
        out, said = folder / "out.jsonl", Counter[str]()
        unfinished = out.with_name(out.name + UNFINISHED)
        for kill in range(1, options.kills + 1):
            runs = [subprocess.Popen([*asked, str(out)], stderr=subprocess.PIPE, text=True) for _ in range(2)]
            before = unfinished.stat().st_size if unfinished.exists() else 0
            # importing torch takes as long as it takes: the time is counted from the first new line
            while not (unfinished.exists() and unfinished.stat().st_size > before) and not out.exists():
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.5))
            for run in rng.sample(runs, 2):
                run.kill()
            errors = [run.communicate()[1] for run in runs]
            said.update("another run writes there" if "another run" in each else "killed" for each in errors)
            lines = unfinished.read_bytes().count(b"\n") - 1 if unfinished.exists() else 0
            print(f"kill {kill}: {lines} whole lines", flush=True)
        last = subprocess.run([*asked, str(out)], check=False, stderr=subprocess.PIPE, text=True)
        print(f"{dict(said)}; the last run ends with {last.returncode}: {last.stderr.strip().splitlines()[-1]}")
        found, expected = verdicts(out), verdicts(folder / "undisturbed.jsonl")
        twice = sum(count > 1 for count in Counter(path for path, _ in found).values())
        print(f"{len(found)} lines of {PICTURES} pictures, {twice} of them more than once")
        if found != expected:
            sys.exit("error: the lines are not those of the undisturbed run")


if __name__ == "__main__":
    main()
