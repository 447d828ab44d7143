"""Training starts from weights that other programs have: its first step is theirs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_pytorch import EfficientNet
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from deepfake_detection.importing.checkpoints import import_weights
from deepfake_detection.network.model import build_model
from deepfake_detection.network.variant import Variant
from deepfake_detection.network.weights import read_weights, save_weights
from tests.support.params import tree
from tests.support.references import difference
from tests.unit.training.small import make_batches, train

B4 = "efficientnet_b4"


@pytest.mark.slow
def test_the_first_step_from_advprop_is_that_of_its_own_program(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = EfficientNet.from_name("efficientnet-b4", dropout_rate=0.0, drop_connect_rate=0.0)
    torch.save(theirs.state_dict(), tmp_path / "adv-efficientnet-b4.pth")
    import_weights([tmp_path / "adv-efficientnet-b4.pth"], "start-advprop", tmp_path / "start.pth")
    network = build_model(B4, 0.0, tmp_path / "start.pth")
    for module in network.modules():
        if isinstance(module, StochasticDepth):
            module.p = 0.0
    theirs._fc = nn.Linear(1792, 1)
    theirs._fc.load_state_dict(network.efficientnet.get_submodule("classifier.1").state_dict())
    before = theirs._conv_stem.weight.detach().clone()

    still = tree()["train"]["augment"] | {"flip": 0.0, "rotation": 0.0, "brightness": 0.0, "contrast": 0.0}
    changes = {"train": 8, "batch_size": 8, "epochs": 1, "lr": 1e-4, "augment": still}
    trained, summary = train(network, **changes)

    batches = make_batches(**changes)
    frames = torch.from_numpy(np.stack([batches.pixels[number] for number in range(8)])).permute(0, 3, 1, 2)
    labels = torch.from_numpy(batches.train_rows["label"].to_numpy()).float()
    loss = nn.functional.binary_cross_entropy_with_logits(theirs.train()(frames / 127.5 - 1)[:, 0], labels)
    optimiser = torch.optim.Adam(theirs.parameters(), lr=1e-4)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    assert abs(summary["train_loss"] - loss.item()) < 1e-5
    steps: list[Tensor] = [
        each.detach() - before for each in (trained["efficientnet.features.0.0.weight"], theirs._conv_stem.weight)
    ]
    assert difference(*steps) < 0.05

    network.load_state_dict(trained)
    save_weights(tmp_path / "trained.pth", network.efficientnet, network.variant)
    half = [0.5] * 3
    expected = Variant(padding="static", padding_size=380, eps=1e-3, mean=half, std=half)
    assert read_weights(tmp_path / "trained.pth").variant == expected
