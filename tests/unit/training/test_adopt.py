"""A run of no epochs takes a trained network as it is, if the frames are prepared for it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import COLUMNS
from deepfake_detection.params.train_sections import Model
from deepfake_detection.training.runs import adopt_network
from stages import train
from tests.support.checkpoints import SIZE, network_with_statistics, save_checkpoint, sidecar
from tests.support.onnx_files import onnx_checkpoint
from tests.support.params import tree


def test_the_network_is_the_checkpoint_s_and_frames_of_another_kind_are_refused(tmp_path: Path) -> None:
    path, given = tmp_path / "theirs.pth", network_with_statistics(0.0).eval()
    save_checkpoint(path, given, sidecar(crop="box", margin=0.125))
    model = Model(arch="efficientnet_b0", weights=str(path), dropout=0.0)
    network, summary = adopt_network(model, ("box", 0.125), SIZE, path)
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8))
    with torch.inference_mode():
        assert torch.equal(network.eval()(frames), given(frames))
    assert summary["epochs_run"] == 0

    needed = "-S model.arch=efficientnet_b0 -S prepare.crop=box -S prepare.margin=0.125 -S prepare.image_size=32"
    others = [(model, ("face", 0.125), SIZE), (model, ("box", 0.3), SIZE), (model, ("box", 0.125), 64)]
    for other in [*others, (model.model_copy(update={"arch": "efficientnet_b1"}), ("box", 0.125), SIZE)]:
        with pytest.raises(UserError, match="not for frames as prepared here") as caught:
            adopt_network(*other, path)
        assert str(caught.value).endswith(needed)
    with pytest.raises(UserError, match=r"train.epochs: 0 takes a trained network as it is, and model.weights is none"):
        adopt_network(model.model_copy(update={"weights": "none"}), ("box", 0.125), SIZE, None)


def test_the_stage_passes_an_onnx_file_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint = onnx_checkpoint(tmp_path)
    params = tree()
    params["model"] = {"arch": "onnx", "weights": str(checkpoint), "dropout": 0.0}
    params["train"]["epochs"] = 0
    Path("params.yaml").write_text(yaml.safe_dump(params))
    prepared = Path("data/prepared/train")
    prepared.mkdir(parents=True)
    Path("data/weights.pth").write_bytes(checkpoint.read_bytes())
    names = [f"{number}_f0.jpg" for number in range(4)]
    rows = [(name, "own", "Original", 0, name[0], "", name[0], 0, SIZE, SIZE) for name in names]
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(prepared / "own.csv", index=False)
    np.save(prepared / "own.npy", np.zeros((4, SIZE, SIZE, 3), np.uint8))
    split = {"path": names, "split": ["train", "train", "val", "val"], "dataset": "own", "group": names}
    pd.DataFrame(split).to_csv("data/splits_trained.csv", index=False)
    train.main()
    assert Path("data/trained.pth").read_bytes() == checkpoint.read_bytes()
