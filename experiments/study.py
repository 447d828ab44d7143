"""What a study compares: the methods, seeds and data of a file in ``experiments/studies/``."""

from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import ValidationError

from deepfake_detection.common.errors import UserError
from deepfake_detection.params.load import Params
from deepfake_detection.params.section import Count, Section
from deepfake_detection.params.train_sections import Pretrain, Train
from deepfake_detection.sources.imagenet import fetch_weights, weights_file

STUDIES, RESULTS = Path("experiments/studies"), Path("experiments/results")


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

    arch: str
    weights: str
    train: Train
    pretrain: Pretrain | None
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


def pretrained(arch: str, weights: str) -> Path | None:
    """The file of the weights to start from, or None. It is not in data/weights, which is an output of DVC."""
    folder = RESULTS / "weights" / arch
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)  # trainings run side by side, and one would remove what another reads
        fetch_weights(arch, weights, folder)
    return weights_file(arch, weights, folder)


def method_of(study: Study, name: str, params: Params, seed: int) -> Method:
    """A method of a study with one seed.

    Its keys are ``augment``, a file of conf/augment/, and further parameters of ``train``. ``arch`` and ``weights``
    replace those of the study, and ``pretrain`` has parameters of that section. Or else ``of`` names another method,
    and ``adabn`` says of which frames of the target the batch-norm statistics are. All else is as in params.yaml.
    """
    keys = dict(study.methods[name])
    if "of" in keys:
        return method_of(study, keys["of"], params, seed)._replace(of=keys["of"], statistics=keys["adabn"])
    pretrain = keys.pop("pretrain", None)
    if pretrain is not None:
        pretrain = Pretrain.model_validate(params.pretrain.model_dump() | pretrain | {"seed": seed})
    arch, weights = keys.pop("arch", study.arch), keys.pop("weights", study.weights)
    augment = yaml.safe_load(Path("conf/augment", f"{keys.pop('augment')}.yaml").read_text(encoding="utf-8"))
    tree = params.train.model_dump() | study.train | keys | {"seed": seed}
    tree["augment"] |= augment["train"]["augment"]
    return Method(arch, weights, Train.model_validate(tree), pretrain, None, None)
