"""A wrong params.yaml gives one line that names the key; the committed one is a composition of conf/."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import compose_and_dump

from deepfake_detection.common.errors import UserError
from deepfake_detection.params.load import load_params
from tests.support.params import tree

ROOT = Path(__file__).parents[3]
Tree = dict[str, Any]


def changed(tmp_path: Path, change: Callable[[Tree], object]) -> Path:
    params = tree()
    change(params)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params))
    return path


BAD: dict[str, tuple[Callable[[Tree], object], str]] = {
    "unknown key": (lambda t: t["train"].update(learning_rate=0.1), "train.learning_rate: unknown parameter"),
    "unknown section": (lambda t: t.update(optimizer={}), "optimizer: unknown parameter"),
    "missing key": (lambda t: t["train"].pop("lr"), "train.lr: Field required"),
    "word for a number": (lambda t: t["train"].update(epochs="many"), "train.epochs: Input should be a valid integer"),
    "fraction for a count": (lambda t: t["train"].update(epochs=1.5), "train.epochs: Input should be a valid integer"),
    "yes for a number": (lambda t: t["train"].update(epochs=True), "train.epochs: Input should be a valid integer"),
    "no epochs": (lambda t: t["train"].update(epochs=0), "train.epochs: Input should be greater than or equal to 1"),
    "negative rate": (lambda t: t["train"].update(lr=-1.0), "train.lr: Input should be greater than 0"),
    "NaN": (lambda t: t["train"].update(lr=float("nan")), "train.lr: Input should be"),
    "local without a folder": (
        lambda t: t["data"].update(source="local"),
        "data.local_dir: it must name the folder of your frames, because data.source is local",
    ),
    "one frame a step": (
        lambda t: t["train"].update(batch_size=1),
        "train.batch_size: must be a whole number from 2 on",
    ),
    "no word for a batch": (
        lambda t: t["train"].update(batch_size="many"),
        "train.batch_size: must be a whole number from 2 on, or auto",
    ),
    "no devices": (lambda t: t["train"].update(devices=0), "train.devices: must be a whole number from 1 on, or auto"),
    "no parts": (lambda t: t["train"].update(accumulate=0), "train.accumulate: Input should be greater than or equal"),
    "unknown schedule": (lambda t: t["train"].update(schedule="step"), "train.schedule: Input should be 'constant' or"),
    "unknown precision": (lambda t: t["train"].update(precision="64"), "train.precision: Input should be 'auto', "),
    "unknown optimiser": (lambda t: t["train"].update(optimizer="sgd"), "train.optimizer: Input should be 'adam' or"),
    "growing weights": (lambda t: t["train"].update(weight_decay=-0.1), "train.weight_decay: Input should be greater"),
    "labels without a difference": (
        lambda t: t["train"].update(label_smoothing=1.0),
        "train.label_smoothing: Input should be less than 1",
    ),
    "negative norm": (lambda t: t["train"].update(clip_norm=-1.0), "train.clip_norm: Input should be greater than or"),
    "monitored in training": (
        lambda t: t["train"].update(monitor="train_loss"),
        "train.monitor: Input should be 'val_loss' or 'val_auroc'",
    ),
    "more than always": (
        lambda t: t["train"]["augment"].update(rotate_p=1.5),
        "train.augment.rotate_p: Input should be less than or equal to 1",
    ),
    "average of nothing": (lambda t: t["train"].update(ema=1.0), "train.ema: Input should be less than 1"),
    "warm-up without end": (
        lambda t: t["train"].update(epochs=4, warmup_epochs=4.0),
        "train: warmup_epochs must be below epochs, 4, not 4",
    ),
    "two that recompute": (
        lambda t: t["train"].update(compile="default", checkpoint_activations=True),
        "train: checkpoint_activations needs compile: none",
    ),
    "unknown source": (lambda t: t["data"].update(source="ftp"), "data.source: Input should be 'embedded', 'kaggle'"),
    "not a handle": (lambda t: t["data"].update(kaggle="faces"), "data.kaggle: String should match"),
    "unknown crop": (lambda t: t["prepare"].update(crop="eyes"), "prepare.crop: Input should be 'none' or 'face'"),
    "margin inwards": (lambda t: t["prepare"].update(margin=-0.1), "prepare.margin: Input should be greater than or"),
    "other network": (lambda t: t["model"].update(arch="resnet50"), "model.arch: String should match"),
    "ratios over one": (lambda t: t["split"].update(test=0.3), "split: train + val + test must be 1, not 1.15"),
    "no test frames": (lambda t: t["split"].update(train=0.85, test=0.0), "split.test: Input should be greater than 0"),
    "one class": (lambda t: t["data"]["categories"].update(fake=[]), "data.categories.fake: List should have at least"),
    "category twice": (
        lambda t: t["data"]["categories"].update(fake=["Original"]),
        "data.categories: Original is named more than once",
    ),
    "threshold over one": (
        lambda t: t["calibrate"].update(threshold=1.5),
        "calibrate.threshold: must be a number between",
    ),
    "unknown rule": (
        lambda t: t["calibrate"].update(threshold="best"),
        "calibrate.threshold: must be a number between",
    ),
    "unseen but trained on": (
        lambda t: t["data"]["categories"].update(unseen=["Deepfakes"]),
        "data.categories: unseen: Deepfakes is trained on",
    ),
    "category outside": (lambda t: t["data"]["categories"].update(fake=["../x"]), "data.categories.fake.0: String"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_parameters_give_one_line_with_the_key(tmp_path: Path, name: str) -> None:
    change, message = BAD[name]
    with pytest.raises(UserError) as caught:
        load_params(changed(tmp_path, change))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["train: [", "", "just words", "\x00"])
def test_what_is_not_a_tree_of_parameters_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"params\.yaml") as caught:
        load_params(path)
    assert "\n" not in str(caught.value)


def test_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run this from the project's root"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(("text", "lr"), [("1e-4", 1e-4), ("2.5E-3", 2.5e-3), ("1", 1.0)])
def test_numbers_as_people_write_them(tmp_path: Path, text: str, lr: float) -> None:
    path = changed(tmp_path, lambda tree: None)
    path.write_text(path.read_text().replace("lr: 0.001", f"lr: {text}"))
    assert load_params(path).train.lr == lr


def test_home_is_found_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    paths = {"data": "local_dir", "model": "weights", "split": "official_dir"}
    path = changed(tmp_path, lambda t: [t[section].update({key: "~/mine"}) for section, key in paths.items()])
    params = load_params(path)
    assert (params.data.local_dir, params.model.weights, params.split.official_dir) == ("/home/me/mine",) * 3
    for plain in ("$HOME/mine", "mine/~", "~nobody-is-called-so/mine", "none"):
        kept = load_params(changed(tmp_path, lambda t, plain=plain: t["model"].update(weights=plain)))  # type: ignore[misc]
        assert kept.model.weights == plain


def compose(path: Path, *overrides: str) -> Path:
    compose_and_dump(str(path), str(ROOT / "conf"), None, "config", str(path.parent), list(overrides))
    return path


def test_committed_parameters_are_the_embedded_profile(tmp_path: Path) -> None:
    assert compose(tmp_path / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()


@pytest.mark.parametrize("suite", sorted(path.stem for path in (ROOT / "conf" / "suite").glob("*.yaml")))
def test_a_suite_is_only_evaluated_and_changes_nothing_else(tmp_path: Path, suite: str) -> None:
    plain = load_params(compose(tmp_path / "params.yaml", "profile=ffpp"))
    params = load_params(compose(tmp_path / "params.yaml", "profile=ffpp", f"suite={suite}"))
    assert {extra.use for extra in params.data.extra} <= {"test"}
    assert bool(params.data.extra) == (suite != "none")
    without = params.model_copy(update={"data": params.data.model_copy(update={"extra": []})})
    assert without == plain


def test_ffpp_profile_is_the_original_recipe(tmp_path: Path) -> None:
    params = load_params(compose(tmp_path / "params.yaml", "profile=ffpp"))
    assert params.data.source == "kaggle"
    assert params.data.kaggle == "fatimahirshad/faceforensics-extracted-dataset-c23"
    assert (params.data.categories.real, params.data.categories.fake) == (["Original"], ["Deepfakes"])
    assert (params.split.train, params.split.val, params.split.test) == (0.70, 0.15, 0.15)
    assert params.prepare.model_dump() == {"image_size": 224, "crop": "none", "margin": 0.3}
    assert params.model.model_dump() == {"arch": "efficientnet_b7", "weights": "imagenet", "dropout": 0.5}
    train = params.train
    assert (train.epochs, train.patience, train.batch_size, train.lr) == (200, 30, 16, 1e-4)
    assert (train.precision, train.devices, train.accumulate, train.schedule, train.ema) == (
        "auto",
        1,
        1,
        "constant",
        0,
    )
    assert (train.optimizer, train.weight_decay, train.label_smoothing, train.clip_norm) == ("adam", 0, 0, 0)
    assert train.monitor == "val_loss"
    augment = {"flip": 0.5, "rotation": 5.0, "rotate_p": 1.0, "scale": 0.0, "brightness": 0.1, "contrast": 0.1}
    found = train.augment.model_dump()
    assert {name: found.pop(name) for name in augment} == augment
    # the recipe has nothing beyond these
    assert {value["p"] if isinstance(value, dict) else value for value in found.values()} == {0}
