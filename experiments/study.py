"""What a study compares, the methods, seeds and data of a file in ``experiments/studies/``, and the frames it takes."""

from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from pydantic import ValidationError

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.lite0 import LITE0
from deepfake_detection.frames.prepared import Pixels, StackedPixels, open_prepared
from deepfake_detection.params.load import Params
from deepfake_detection.params.section import Count, Section
from deepfake_detection.params.train_sections import Model, Pretrain, Train
from deepfake_detection.sources.imagenet import fetch_weights
from deepfake_detection.training.runs import starting_file

STUDIES, RESULTS = Path("experiments/studies"), Path("experiments/results")
PREPARED = Path("data/prepared")


class Study(Section):
    """A study. Each of ``methods`` is read by ``method_of``.

    ``target`` is a data set to test on that is adapted to: half of its groups are there without labels, and only the
    other half is scored.
    """

    arch: str
    weights: str
    steps: Count
    seeds: list[int]
    train: dict[str, Any]
    baseline: str
    methods: dict[str, dict[str, Any]]
    held_out: list[str]
    target: str | None = None


class Method(NamedTuple):
    """How one network comes into being: it is trained, or it is that of the method ``of`` with other statistics."""

    params: Params
    of: str | None
    statistics: Literal["all", "originals", "fakes", "one video"] | None


def read_study(name: str) -> Study:
    """Raises UserError when there is no such study or a key of it is wrong."""
    path = STUDIES / f"{name}.yaml"
    try:
        study = Study.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        known = ", ".join(sorted(each.stem for each in STUDIES.glob("*.yaml")))
        raise UserError(f"no study {name}: there are {known}") from None
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise UserError(f"{path}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
    if study.baseline not in study.methods:
        raise UserError(f"{path}: baseline: {study.baseline} is not one of its methods")
    return study


def result_file(study: str, method: str, seed: int) -> Path:
    """The logits of one network, and the seconds of its training."""
    return RESULTS / study / method / f"{seed}.npz"


def network_file(study: str, method: str, seed: int) -> Path:
    """The state_dict of that network."""
    return result_file(study, method, seed).with_suffix(".pth")


def weights_of(model: Model) -> Path | None:
    """The file of the weights to start from, or None."""
    if model.weights != "imagenet" or model.arch == LITE0:
        return starting_file(model.arch, model.weights, "model.weights")
    file = RESULTS / "weights" / f"{model.arch}.pth"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)  # trainings run side by side
        if not file.exists():
            fetch_weights(model.arch, model.weights, file)
    return file


def method_of(study: Study, name: str, params: Params, seed: int) -> Method:
    """A method of a study with one seed.

    Its keys are ``augment``, a file of conf/augment/, and further parameters of ``train``. ``arch`` and ``weights``
    replace those of the study, and ``pretrain`` is as that section. Or else ``of`` names another method, and ``adabn``
    says of which frames of the target the batch-norm statistics are. All else is as in params.yaml.
    """
    keys = dict(study.methods[name])
    if "of" in keys:
        return method_of(study, keys["of"], params, seed)._replace(of=keys["of"], statistics=keys["adabn"])
    model = {key: keys.pop(key, getattr(study, key)) for key in ("arch", "weights")}
    pretrain = {name: Pretrain.model_validate(own | {"seed": seed}) for name, own in keys.pop("pretrain", {}).items()}
    augment = yaml.safe_load(Path("conf/augment", f"{keys.pop('augment')}.yaml").read_text(encoding="utf-8"))
    train = params.train.model_dump() | study.train | dict.fromkeys(("max_steps", "epochs", "patience"), study.steps)
    train |= keys | {"seed": seed}
    train["augment"] |= augment["train"]["augment"]
    sections = {"model": params.model.model_copy(update=model), "pretrain": pretrain}
    return Method(params.model_copy(update={**sections, "train": Train.model_validate(train)}), None, None)


def open_trained() -> tuple[Pixels, pd.DataFrame]:
    """The frames that the project trains, validates and tests on, with the rows of their index."""
    return open_prepared(PREPARED / "train", Path("data/splits_trained.csv"))


def open_evaluated() -> tuple[Pixels, pd.DataFrame]:
    """The frames that the project only tests on: held-out categories, then further data sets."""
    folders = {"unseen": Path("data/splits_unseen.csv"), "test": Path("data/splits.csv")}
    found = [open_prepared(PREPARED / name, splits) for name, splits in folders.items() if any_in(PREPARED / name)]
    if not found:
        raise UserError(f"{PREPARED}: nothing to test on but the frames trained on; see use: test in datasets")
    return stacked(found)


def any_in(folder: Path) -> bool:
    return any(folder.glob("*.csv"))


def stacked(parts: list[tuple[Pixels, pd.DataFrame]]) -> tuple[Pixels, pd.DataFrame]:
    """Several results of ``open_prepared`` as one."""
    return StackedPixels([pixels for pixels, _ in parts]), pd.concat([rows for _, rows in parts], ignore_index=True)


def frames_of(pixels: Pixels, rows: pd.DataFrame) -> NDArray[np.uint8]:
    """The frames of ``rows`` in memory, of shape (frames, size, size, 3)."""
    return np.stack([np.asarray(pixels[row]) for row in rows.index])
