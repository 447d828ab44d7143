"""Several processes train as one: the same frames in each step, the same losses, outputs written once."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pytorch_lightning import seed_everything
from torch import nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.model import build_model
from deepfake_detection.training.distributed import check_launcher, rank_batches
from deepfake_detection.training.fit import fit
from deepfake_detection.training.loader import FrameBatches
from tests.support.params import train as train_params

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
FRAMES, EPOCHS = 37, 4


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("accumulate", [1, 2, 3])
@pytest.mark.parametrize("frames", [48, 50, 53, 59])
def test_processes_share_each_step_and_wait_for_nobody(frames: int, accumulate: int, world_size: int) -> None:
    step = 24
    steps = [step, step, frames - 2 * step] if frames > 2 * step else [step, step]
    everyone = [rank_batches(steps, accumulate, world_size, rank) for rank in range(world_size)]
    assert len({len(parts) for parts in everyone}) == 1
    for start in range(0, 48, step):
        first = start // step * accumulate
        taken = [item for parts in everyone for part in parts[first : first + accumulate] for item in part]
        assert sorted(taken) == list(range(start, start + step))
    rest = [item for parts in everyone for part in parts[2 * accumulate :] for item in part]
    assert sorted(rest) == ([] if frames - 48 < world_size else list(range(48, frames)))
    assert all(part for parts in everyone for part in parts)


def test_no_part_of_all_processes_is_a_single_frame() -> None:
    assert rank_batches([4, 4, 1]) == [[0, 1, 2, 3], [4, 5, 6, 7]]  # batch norm cannot train on the ninth
    assert rank_batches([4, 4, 3], accumulate=2)[-1] == [8, 9, 10]


def train(folder: Path, devices: int) -> None:
    """B0 from scratch without dropout, whose draws differ between processes; 9 frames to validate."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (FRAMES + 9, 32, 32, 3), dtype=np.uint8)
    rows = pd.DataFrame({"label": np.arange(FRAMES + 9) % 2, "split": ["train"] * FRAMES + ["val"] * 9})
    params = train_params(epochs=EPOCHS, batch_size=8, lr=1e-4, devices=devices, num_workers=0)
    seed_everything(7, workers=True, verbose=False)
    model = build_model("efficientnet_b0", dropout=0.0)
    history: list[dict[str, float]] = []
    trained = fit(model, FrameBatches(pixels, rows, params, seed=7), params, history.append)
    assert (trained is None) == (os.environ.get("LOCAL_RANK", "0") != "0")
    assert {type(module) for module in model.modules() if isinstance(module, nn.BatchNorm2d)} == {nn.BatchNorm2d}
    if trained:
        folder.mkdir()
        torch.save(trained[0], folder / "state.pth")
        (folder / "history.json").write_text(json.dumps(history))


def outcome(folder: Path) -> tuple[list[Any], dict[str, Any]]:
    return json.loads((folder / "history.json").read_text()), torch.load(folder / "state.pth", weights_only=True)


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """20 steps, of 8 frames and, last in each epoch, of 5: three for one process and two for the other."""
    train(tmp_path / "1", devices=1)
    command = [sys.executable, "-m", "tests.unit.training.test_distributed", str(tmp_path / "2"), "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    (alone, own_state), (shared, state) = outcome(tmp_path / "1"), outcome(tmp_path / "2")
    assert len(alone) == len(shared) == 4
    for one, two in zip(alone, shared, strict=True):
        for name in ("train_loss", "val_loss"):
            assert two[name] == pytest.approx(one[name], abs=1e-5), name
    assert list(state) == list(own_state)
    # where a gradient is zero but for rounding, Adam makes whole steps of it: a few weights drift apart
    apart = torch.cat([(state[name].double() - value).abs().flatten() for name, value in own_state.items()])
    assert apart.max() <= 20 * 1e-4
    assert apart.mean() < 1e-6


@pytest.mark.parametrize(
    ("run", "processes"),
    [("TORCHELASTIC_RUN_ID", ("WORLD_SIZE",)), ("SLURM_JOB_NAME", ("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE"))],
)
def test_a_launcher_that_starts_another_number_of_processes_is_told(
    monkeypatch: pytest.MonkeyPatch, run: str, processes: tuple[str, ...]
) -> None:
    check_launcher(2)
    monkeypatch.setenv(run, "train")
    for name in processes:
        monkeypatch.setenv(name, "4")
    check_launcher(4)
    with pytest.raises(UserError, match="ask for 2 processes, but torchrun or srun has started 4"):
        check_launcher(2)


if __name__ == "__main__":
    train(Path(sys.argv[1]), int(sys.argv[2]))
