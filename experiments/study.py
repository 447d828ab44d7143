"""What a study compares: the methods, seeds and data of a file in ``experiments/studies/``."""

from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from deepfake_detection.common.errors import UserError
from deepfake_detection.params.section import Count, Section
from deepfake_detection.params.train import Train
from deepfake_detection.sources.imagenet import fetch_weights, weights_file

STUDIES, RESULTS = Path("experiments/studies"), Path("experiments/results")


class Study(Section):
    """A study. Each of ``methods`` has ``augment``, a file of conf/augment/, and further parameters of ``train``."""

    arch: str
    weights: str
    steps: Count
    seeds: list[int]
    train: dict[str, Any]
    baseline: str
    methods: dict[str, dict[str, Any]]
    held_out: list[str]


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


def pretrained(arch: str, weights: str) -> Path | None:
    """The file of the weights to start from, or None. It is not in data/weights, which is an output of DVC."""
    folder = RESULTS / "weights" / arch
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)  # trainings run side by side, and one would remove what another reads
        fetch_weights(arch, weights, folder)
    return weights_file(arch, weights, folder)


def train_params(study: Study, method: str, train: Train, seed: int) -> Train:
    """The parameters of one training: those of the project, changed by the study and by the method."""
    changes = dict(study.methods[method])
    augment = yaml.safe_load(Path("conf/augment", f"{changes.pop('augment')}.yaml").read_text(encoding="utf-8"))
    tree = train.model_dump() | study.train | changes | {"seed": seed}
    tree["augment"] |= augment["train"]["augment"]
    return Train.model_validate(tree)
