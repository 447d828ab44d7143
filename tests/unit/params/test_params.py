"""A wrong params.yaml gives one line that names the key; the committed one is a composition of conf/."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import compose_and_dump

from deepfake_detection.common.errors import UserError
from deepfake_detection.params.load import load_params
from tests.support.params import tree

ROOT = Path(__file__).parents[3]


OUT_OF_RANGE: dict[str, list[Any]] = yaml.safe_load("""{
    train.epochs: [-1], train.lr: [-1.0], train.batch_size: [1, many], train.devices: [0], train.accumulate: [0],
    train.schedule: [step], train.precision: ["64"], train.optimizer: [sgd], train.weight_decay: [-0.1],
    train.label_smoothing: [1.0], train.localise: [-1.0], train.align: [-1.0], train.uniform: [-1.0],
    train.epoch_share: [0.0, 1.5], train.clip_norm: [-1.0], train.ema: [1.0], train.augment.shift: [1.0],
    train.augment.rotate_p: [1.5], train.monitor: [train_loss], train.max_steps: [-1], prepare.crop: [eyes],
    prepare.margin: [-0.1],
    model.arch: [resnet50], split.test: [0.0], calibrate.threshold: [1.5, best], video.frames: [0],
    datasets.embedded.use: [extra], datasets.embedded.layout: [ftp], datasets.embedded.drawn.identities: [3],
    datasets.embedded.kaggle: [faces, owner/name/versions/newest]}""")
# what is set, by the key's path, and what the line must say: the key, and what pydantic says of no value of the type
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"train.learning_rate": 0.1}, "train.learning_rate: unknown parameter"),
    "unknown section": ({"optimizer": {}}, "optimizer: unknown parameter"),
    "missing key": ({"train.lr": None}, "train.lr: Field required"),
    "fraction for a count": ({"train.epochs": 1.5}, "train.epochs: Input should be a valid integer"),
    "yes for a number": ({"train.epochs": True}, "train.epochs: Input should be a valid integer"),
    "NaN": ({"train.lr": float("nan")}, "train.lr: Input should be"),
    **{f"{key} = {value}": ({key: value}, f"{key}: ") for key, values in OUT_OF_RANGE.items() for value in values},
    "warm-up without end": ({"train.epochs": 4, "train.warmup_epochs": 4.0}, "train: warmup_epochs must be below"),
    "recomputed": ({"train.compile": "default", "train.checkpoint_activations": True}, "train: checkpoint_activations"),
    "recomputed in a capture": (
        {"train.compile": "graph", "train.checkpoint_activations": True},
        "train: checkpoint_activations needs compile: none",
    ),
    "adapted and captured": (
        {"train.compile": "graph", "train.adapt": "coral", "train.unlabelled": "adapt"},
        "train: adapt, localise, align and uniform need compile: none",
    ),
    "where in a capture": (
        {"train.localise": 0.5, "train.method": "nested", "train.compile": "graph"},
        "train: adapt, localise, align and uniform need compile: none",
    ),
    "sphere in a capture": (
        {"train.uniform": 0.5, "train.compile": "graph"},
        "train: adapt, localise, align and uniform need compile: none, because they look into the network",
    ),
    "ONNX without a file": (
        {"model.arch": "onnx", "model.weights": "none"},
        "model: arch: onnx needs in model.weights",
    ),
    "ratios over one": ({"split.test": 0.3}, "split: train + val + test must be 1, not 1.15"),
    "other pretraining": ({"pretrain": {"dino": {}}}, "pretrain.dino"),
    "other adaptation": ({"adapt": ["tent"]}, "adapt.0: Input should be 'adabn'"),
    "nothing to train on": ({"datasets.embedded.use": "test"}, "datasets: no data set has use: train"),
    "no data set": ({"datasets": {}}, "datasets: no data set has use: train"),
    "dot in a name": ({"datasets": {"a.b": {"path": "x", "use": "train"}}}, "datasets.a.b"),
    "no origin": ({"datasets.own": {"path": "none", "use": "test"}}, "datasets.own: path, kaggle or a layout"),
    "two origins": ({"datasets.embedded.path": "mine"}, "datasets.embedded: path, kaggle or a layout"),
    "one class": ({"datasets.embedded.fake": []}, "datasets.embedded: real and fake: "),
    "category twice": ({"datasets.embedded.fake": ["Original"]}, "datasets.embedded: real, fake and unseen: Original"),
    "unseen but trained on": ({"datasets.embedded.unseen": ["Deepfakes"]}, "datasets.embedded: real, fake and unseen:"),
    "category outside": ({"datasets.embedded.fake": ["../x"]}, "datasets.embedded.fake.0: String"),
    "range that falls": ({"train.augment.jpeg.range": [95.0, 10.0]}, "train.augment.jpeg: range must rise, between 1"),
}


def write(tmp_path: Path, changes: dict[str, Any]) -> Path:
    params = tree()
    for path, value in changes.items():
        *sections, key = path.split(".") if path not in params else [path]
        part = params
        for section in sections:
            part = part[section]
        if value is None:
            del part[key]
        else:
            part[key] = value
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(params, sort_keys=False))
    return file


@pytest.mark.parametrize("name", BAD)
def test_wrong_parameters_give_one_line_with_the_key(tmp_path: Path, name: str) -> None:
    changes, message = BAD[name]
    with pytest.raises(UserError) as caught:
        load_params(write(tmp_path, changes))
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
    path = write(tmp_path, {})
    path.write_text(path.read_text().replace("lr: 0.001", f"lr: {text}"))
    assert load_params(path).train.lr == lr


def test_home_is_found_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    own = {"path": "~/mine", "use": "test"}
    paths = {"datasets.own": own} | dict.fromkeys(("model.weights", "split.official_dir", "train.teacher"), "~/mine")
    params = load_params(write(tmp_path, paths))
    found = (params.datasets["own"].path, params.model.weights, params.split.official_dir, params.train.teacher)
    assert found == ("/home/me/mine",) * 4
    for plain in ("$HOME/mine", "mine/~", "~nobody-is-called-so/mine", "none"):
        assert load_params(write(tmp_path, {"model.weights": plain})).model.weights == plain


def compose(path: Path, *overrides: str) -> Path:
    compose_and_dump(str(path), str(ROOT / "conf"), None, "config", str(path.parent), list(overrides))
    return path


def test_committed_parameters_are_the_embedded_profile(tmp_path: Path) -> None:
    assert compose(tmp_path / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()


@pytest.mark.parametrize("suite", sorted(path.stem for path in (ROOT / "conf" / "suite").glob("*.yaml")))
def test_a_suite_is_only_evaluated_and_changes_nothing_else(tmp_path: Path, suite: str) -> None:
    plain = load_params(compose(tmp_path / "params.yaml", "profile=ffpp"))
    params = load_params(compose(tmp_path / "params.yaml", "profile=ffpp", f"suite={suite}"))
    further = params.datasets.keys() - plain.datasets.keys()
    assert {params.datasets[name].use for name in further} <= {"test"}
    assert bool(further) == (suite != "none")
    assert params.model_copy(update={"datasets": plain.datasets}) == plain


def test_ffpp_profile_is_the_original_recipe(tmp_path: Path) -> None:
    params = load_params(compose(tmp_path / "params.yaml", "profile=ffpp"))
    (wanted,) = params.datasets.values()
    assert (wanted.path, wanted.kaggle) == ("none", "fatimahirshad/faceforensics-extracted-dataset-c23")
    assert (wanted.use, wanted.real, wanted.fake) == ("train", ["Original"], ["Deepfakes"])
    assert (params.split.train, params.split.val, params.split.test) == (0.70, 0.15, 0.15)
    assert params.prepare.model_dump() == {"image_size": 224, "crop": "none", "margin": 0.3}
    assert params.model.model_dump() == {"arch": "efficientnet_b7", "weights": "imagenet", "dropout": 0.5}
    train = params.train
    assert (train.epochs, train.patience, train.batch_size, train.lr) == (200, 30, 16, 1e-4)
    assert (train.precision, train.schedule, train.optimizer, train.monitor) == ("auto", "constant", "adam", "val_loss")
    assert (train.devices, train.accumulate, train.weight_decay, train.label_smoothing) == (1, 1, 0, 0)
    assert train.clip_norm == train.ema == 0
    augment = {"flip": 0.5, "rotation": 5.0, "rotate_p": 1.0, "scale": 0.0, "brightness": 0.1, "contrast": 0.1}
    found = train.augment.model_dump()
    assert {name: found.pop(name) for name in augment} == augment
    # the recipe has nothing beyond these
    assert {value["p"] if isinstance(value, dict) else value for value in found.values()} == {0}


def test_ffpp_fast_is_ffpp_with_more_frames_at_a_rate_scaled_with_them(tmp_path: Path) -> None:
    recipe, fast = (load_params(compose(tmp_path / "params.yaml", f"profile={name}")) for name in ("ffpp", "ffpp-fast"))
    assert isinstance(recipe.train.batch_size, int)
    assert isinstance(fast.train.batch_size, int)
    assert fast.train.lr / recipe.train.lr == pytest.approx(fast.train.batch_size / recipe.train.batch_size)
    own = {"batch_size": 128, "lr": fast.train.lr, "warmup_epochs": 5.0, "compile": "graph", "num_workers": 8}
    assert fast == recipe.model_copy(update={"train": recipe.train.model_copy(update=own)})
