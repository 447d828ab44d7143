"""Compares methods on genuine videos: ``python -m experiments.genuine FOLDER [--splits N] [--rows ROW ...]``.

FOLDER is FaceForensics++ as its authors' script downloads it, whole or in part, or has another layout that the stage
``download`` knows. EfficientNet-Lite0 learns from the originals and from Deepfakes, or else from the manipulation that
is first by its name. It is tested on other people and on all manipulations. Each split divides the people anew.

The tables have the AUROC of frames and of videos, as means over the splits. The 95% interval is of draws of identity
groups in each split, taken together. So it counts both chances, and more splits never narrow it: they share people.
Below are the differences to the first of the rows, split by split, with the interval of Student's t over the splits.
``experiments/results/genuine/`` keeps frames, curves and logits, so a killed run goes on. Remove what it has of a
FOLDER that has changed.
"""

import shutil
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from dvc.utils.hydra import compose_and_dump

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing, write_csv
from deepfake_detection.common.tables import AUTHORS, SPLITS, VIDEO_KEY
from deepfake_detection.evaluation.differences import seed_part, t_test
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.frames.prepared import Pixels, open_landmarks, open_set
from deepfake_detection.frames.preparing import prepare_frames
from deepfake_detection.index.build import index_data_set
from deepfake_detection.index.groups import frame_groups
from deepfake_detection.index.official import read_recordings
from deepfake_detection.inference.logits import predict_logits
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.network.model import Network
from deepfake_detection.params.data_sections import Dataset, folders_of
from deepfake_detection.params.load import Params, load_params
from deepfake_detection.sources.gather import gather
from deepfake_detection.training.classifier import EpochLog
from deepfake_detection.training.loader import FrameBatches
from deepfake_detection.training.runs import epoch_log, train_network
from experiments.run import BATCH
from experiments.study import RESULTS, weights_of
from experiments.table import Floats, with_draws
from stages import run

SET = "genuine"
SHARES = (0.6, 0.15, 0.25)  # of the identity groups
ALL = ["profile=small", "video.frames=12", "train.threads=1"]  # one, so that rows can be trained side by side
SCHEDULE = ["schedule=cosine", "warmup_epochs=1", "optimizer=adamw", "weight_decay=0.01", "clip_norm=1", "pairs=true"]
"""How the profile ``ffpp-strong`` trains, but for the averaged weights."""


def row(augment: str, size: int, epochs: int, method: str = "supervised") -> list[str]:
    train = {"epochs": epochs, "patience": epochs, "method": method, "monitor": "val_loss"}
    return [
        f"augment={augment}",
        f"prepare.image_size={size}",
        *(f"train.{key}={value}" for key, value in train.items()),
    ]


ROWS = {
    "recipe": row("recipe", 128, 6),
    "mild": row("mild", 128, 6),
    "mild-16": row("mild", 128, 16),
    "sturdy": row("sturdy", 128, 6),
    "sturdy-16": row("sturdy", 128, 16),
    "mild-224": row("mild", 224, 10),
    "recipe-224": row("recipe", 224, 6),
    "nested": row("sturdy", 128, 6, "nested"),
    "nested-16": row("sturdy", 128, 16, "nested"),
    "self-blended": row("sturdy", 128, 6, "self_blended"),
    "small": [],  # the profile as it is
    # one thing changed in it
    "small-sturdy": ["augment=sturdy"],
    "small-nested": ["train.method=nested"],
    "small-15": ["train.epochs=15", "train.patience=15"],  # the steps that small-nested has
    "small-schedule": [f"train.{each}" for each in SCHEDULE],
    "small-localise": ["train.localise=1"],
    "small-300": ["prepare.image_size=300"],
    "small-frames": ["video.frames=32", "train.epoch_share=0.375"],  # others in each epoch, and as many as before
    "small-shift": ["train.augment.shift=0.1"],
    "small-sphere": ["train.align=0.1", "train.uniform=0.5"],
    "small-smoothing": ["train.label_smoothing=0.1"],
    "small-ema": ["train.ema=0.99"],
    "small-128": ["prepare.image_size=128"],  # costs a third
}
"""What ``dvc exp run -S`` would be given for each row, besides ALL."""


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--splits", type=int, default=2, help="divisions of the people (default: 2)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="those to train; otherwise all")
    options = parser.parse_args()
    if options.splits < 1:
        raise UserError("--splits: at least 1")
    keep_freed_memory()
    to = RESULTS / SET / "_".join(options.folder.resolve().parts[1:])
    scored: dict[str, list[pd.DataFrame]] = {name: [] for name in options.rows}
    for name, seed in product(options.rows, range(options.splits)):
        file = to / name / f"{seed}.csv"
        if not file.exists():
            print(f"{name}, split {seed}", flush=True)
            params = params_of(ROWS[name], to / name / "params.yaml")
            curves = epoch_log(to / name / f"{seed}.curves.csv")
            write_csv(file, trained_and_tested(options.folder, to, params, seed, curves))
        ids = dict.fromkeys(("video_id", "source_id", "group"), str)
        scored[name].append(pd.read_csv(file, dtype=ids, keep_default_na=False))
    for unit in ("frames", "videos"):
        found = {name: [network_aurocs(test, unit) for test in tests] for name, tests in scored.items()}
        table = {name: dict(cells(found[name], tests)) for name, tests in scored.items()}
        print(f"\nAUROC of {unit}\n{pd.DataFrame(table).T.to_string(na_rep='')}")
        if len(scored) > 1 and options.splits > 1:
            print(f"\nless {options.rows[0]}\n{differences(found).to_string(na_rep='')}")


def params_of(overrides: list[str], file: Path) -> Params:
    """The parameters of a row, which ``file`` then records."""
    file.parent.mkdir(parents=True, exist_ok=True)
    compose_and_dump(str(file), str(Path("conf").resolve()), None, "config", "conf", ALL + overrides)
    return load_params(file)


class Trained(NamedTuple):
    """A network, the frames that it is trained and tested on, and the manipulation that it is trained on.

    ``rows`` are those of ``pixels``, as ``divided`` returns them. ``kept`` is the epoch whose network this is, and
    ``seconds`` is what all epochs took.
    """

    network: Network
    pixels: Pixels
    rows: pd.DataFrame
    seen: str
    kept: int
    seconds: int


def trained_and_tested(folder: Path, to: Path, params: Params, seed: int, curves: EpochLog) -> pd.DataFrame:
    """As ``tested``, of a network that is trained for it."""
    return tested(trained(folder, to, params, seed, seed, curves))


def tested(done: Trained) -> pd.DataFrame:
    """The frames of the test with their ``logit``; ``epoch`` and ``seconds`` say which was kept, after what time."""
    test = done.rows[done.rows["split"] == "test"]
    logits = predict_logits(done.network, FrameDataset(done.pixels, test), BATCH)
    seen = test["category"] == done.seen
    kept = test[["path", "label", *VIDEO_KEY, "group"]]
    return kept.assign(logit=logits, seen=seen, epoch=done.kept, seconds=done.seconds)


def trained(folder: Path, to: Path, params: Params, split: int, seed: int, curves: EpochLog) -> Trained:
    """Trains on the originals and one manipulation of the people that ``split`` chooses."""
    prepared = ready(folder, to, params)
    pixels, rows = open_set(prepared)
    rows = divided(rows, split, read_recordings([prepared.parents[1] / "raw" / SET / AUTHORS]))
    fakes = sorted(set(rows.loc[rows["label"] == 1, "category"]))
    seen = "Deepfakes" if "Deepfakes" in fakes else fakes[0]
    used = rows[(rows["label"] == 0) | (rows["category"] == seen)]
    if (found := used.groupby("split")["label"].nunique().reindex(SPLITS) == 2).sum() < len(SPLITS):
        lacking = ", ".join(found.index[~found])
        raise UserError(f"{folder}: too few people: no original or no fake of seed={split} in {lacking}")
    train = params.train.model_copy(update={"seed": seed})
    batches = FrameBatches(pixels, used, train, seed, open_landmarks(prepared))
    crop, start = (params.prepare.crop, params.prepare.margin), time.perf_counter()
    done = train_network(params.model, train, crop, batches, weights_of(params.model), curves)
    if done is None:
        raise UserError("a study trains each network in one process: set train.devices=1")
    seconds = round(time.perf_counter() - start)
    return Trained(done[0].eval(), pixels, rows, seen, done[1]["best_epoch"], seconds)


def ready(folder: Path, to: Path, params: Params) -> Path:
    """A folder with the crops of all frames in the size that ``params`` has; they are brought and indexed once.

    It is ``prepared/SIZE`` in the folder of ``to`` that has the number of frames of a video.
    """
    to = to / str(params.video.frames)
    raw, index, faces = to / "raw", to / "index.csv", to / "faces.csv"
    folders = folders_of({SET: (dataset := Dataset(path=str(folder), use="train"))})
    if not (index.exists() and faces.exists()):
        with replacing(raw / SET) as (part,):
            gather(SET, dataset, params.video, part)
        found = index_data_set(raw, SET, params.index.max_rejected, True, folders=folders, work=to / "work")
        write_csv(index, found.frames.drop(columns="phash"))
        write_csv(faces, found.faces)
    size, prepared = params.prepare.image_size, to / "prepared" / str(params.prepare.image_size)
    if not (prepared / f"{SET}.csv").exists():
        rule, margin = params.prepare.crop, params.prepare.margin
        prepare_frames(
            index,
            raw,
            prepared / SET,
            size,
            faces=faces,
            rule=rule,
            margin=margin,
            folders=folders,
            work=to / "work",
        )
        shutil.rmtree(to / "work")
    return prepared


def divided(rows: pd.DataFrame, seed: int, recordings: dict[str, str]) -> pd.DataFrame:
    """``rows`` with ``group`` and ``split``. All frames of a group, of whatever category, are on one side."""
    groups = frame_groups(rows, (), recordings)
    names = np.random.default_rng(seed).permutation(sorted(set(groups)))
    ends = np.rint(np.cumsum([0, *SHARES]) * len(names)).astype(int)
    return rows.assign(group=groups, split=groups.map(dict(zip(names, np.repeat(SPLITS, np.diff(ends)), strict=True))))


def cells(found: list[dict[str, Floats]], tests: list[pd.DataFrame]) -> Iterator[tuple[str, str]]:
    """The columns of a row of the table: ``found``, as of ``network_aurocs``, and ``tests`` are those of each split."""
    for name in dict.fromkeys(name for each in found for name in each):
        every = np.array([each[name] for each in found if name in each])
        low, high = np.nanquantile(every[:, 1:], [0.025, 0.975])
        yield name, f"{every[:, 0].mean():.3f} [{low:.3f}, {high:.3f}]"
    for name in ("epoch", "seconds"):
        yield name, ", ".join(str(test[name].iloc[0]) for test in tests)


def differences(found: dict[str, list[dict[str, Floats]]]) -> pd.DataFrame:
    """What each row's AUROC has more than that of the first, as the mean over the splits with its 95% interval.

    ``found`` has for each row what ``network_aurocs`` says of each split.
    """
    first, *others = found
    table: dict[str, dict[str, str]] = {row: {} for row in others}
    for row, name in product(others, found[first][0]):
        pairs = [(own[name][0], known[name][0]) for own, known in zip(found[row], found[first], strict=True)]
        change = np.array([[own - known] for own, known in pairs])
        told = t_test(float(change.mean()), [seed_part(change)])
        interval = "" if told["interval"] is None else " [{:+.3f}, {:+.3f}]".format(*told["interval"])
        table[row][name] = f"{told['difference']:+.3f}{interval}"
    return pd.DataFrame(table).T


def network_aurocs(test: pd.DataFrame, unit: str) -> dict[str, Floats]:
    """As ``aurocs``, of one network, by frames or by videos: of shape (1 + draws,)."""
    scored = test if unit == "frames" else videos_of(test)
    return {name: values[0] for name, values in aurocs(scored, scored["logit"].to_numpy()[None])}


def videos_of(test: pd.DataFrame) -> pd.DataFrame:
    columns: dict[str, Any] = {"logit": "mean", "label": "first", "group": "first", "seen": "first"}
    return test.groupby(VIDEO_KEY, as_index=False).agg(columns)


def aurocs(test: pd.DataFrame, logits: Floats) -> Iterator[tuple[str, Floats]]:
    """For each manipulation against all originals, the AUROC of each seed, in the sample and in each draw of groups.

    ``logits`` has shape (seeds, rows of ``test``). What is yielded has shape (seeds, 1 + draws).
    """
    rows = with_draws(test)
    unseen: list[Floats] = []
    for name, fakes in sorted(test[test["label"] == 1].groupby("category"), key=lambda each: not each[1]["seen"].any()):
        values = rows.aurocs(logits, ((test["label"] == 0) | (test["category"] == name)).to_numpy())
        yield f"{name} (seen)" if fakes["seen"].any() else str(name), values
        unseen += [] if fakes["seen"].any() else [values]
    if len(unseen) > 1:
        yield "unseen, mean", np.mean(unseen, axis=0)


if __name__ == "__main__":
    run(main)
