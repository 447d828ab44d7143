"""Whether a video says more than its frames do: ``python -m experiments.video_head FOLDER [--seeds N] [--row ROW]``.

FOLDER is as for ``experiments.genuine``, whose network of ROW is trained once for each seed on one split of the people.
It is frozen then. Heads learn from the features of each training video's frames, in order:

- mean: logistic regression of their mean over the frames. It is the control: a further fit, without any time;
- spread: the same, and their standard deviation and mean difference between neighbours. Flicker shows there;
- convolution: two layers of three frames each, then mean and maximum over time.

Features are reduced to DIMENSIONS by a PCA of the training frames. Strength of weight decay, or the epoch, is that with
the best AUROC on validation videos. The baseline is the mean of the frames' logits. The table has AUROCs of test videos
and the differences to it, whose intervals count that other seeds and other people give other numbers.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from deepfake_detection.common.files import write_csv
from deepfake_detection.common.tables import SPLITS, VIDEO_KEY
from deepfake_detection.evaluation.compare import holm
from deepfake_detection.evaluation.differences import between_methods
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.inference.logits import predict_logits
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.training.runs import epoch_log
from experiments.genuine import ROWS, Trained, aurocs, params_of, trained, videos_of
from experiments.run import BATCH
from experiments.study import RESULTS
from experiments.table import Floats
from stages import run

SET, SPLIT, BASELINE = "video_head", 0, "mean of logits"
DIMENSIONS, DECAYS = 32, (1e-3, 1e-2, 1e-1, 1.0)  # C of LogisticRegression
EPOCHS, RATE, DECAY = 60, 3e-3, 1e-2  # of the convolution


class Films(NamedTuple):
    """The videos of one split: their rows, their features of shape (frames, DIMENSIONS) each, and their labels."""

    rows: pd.DataFrame
    features: list[Floats]
    labels: Floats


Head = Callable[[list[Floats]], Floats]
"""Gives one logit for each video, from its features."""


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5, help="networks to train (default: 5)")
    parser.add_argument("--row", choices=ROWS, default="mild-16", help="of experiments.genuine (default: mild-16)")
    options = parser.parse_args()
    keep_freed_memory()
    to = RESULTS / "genuine" / "_".join(options.folder.resolve().parts[1:])  # whose prepared frames are taken
    own = RESULTS / SET / to.name / options.row
    tests = []
    for seed in range(options.seeds):
        file = own / f"{seed}.csv"
        if not file.exists():
            print(f"{options.row}, seed {seed}", flush=True)
            params = params_of(ROWS[options.row], own / "params.yaml")
            network = trained(options.folder, to, params, SPLIT, seed, epoch_log(own / f"{seed}.curves.csv"))
            write_csv(file, scored(network, seed))
        tests.append(pd.read_csv(file, dtype=dict.fromkeys(("video_id", "source_id", "group"), str)))
    print(table(tests).to_string(na_rep=""))


def scored(done: Trained, seed: int) -> pd.DataFrame:
    """The test videos, with a column of logits for the baseline and for each head."""
    films = films_of(done)
    fitted = {name: fit(films["train"], films["val"], seed) for name, fit in HEADS.items()}
    test, rows = films["test"], done.rows[done.rows["split"] == "test"]
    logits = predict_logits(done.network, FrameDataset(done.pixels, rows), BATCH)
    means = videos_of(rows.assign(logit=logits, seen=rows["category"] == done.seen))
    found = test.rows.merge(means[[*VIDEO_KEY, "logit", "seen"]], on=VIDEO_KEY, validate="1:1")
    return found.rename(columns={"logit": BASELINE}).assign(**{n: head(test.features) for n, head in fitted.items()})


def films_of(done: Trained) -> dict[str, Films]:
    """The videos of each split; for training and validation those of originals and the manipulation that is seen."""
    used = done.rows[(done.rows["split"] == "test") | (done.rows["label"] == 0) | (done.rows["category"] == done.seen)]
    frames = FrameDataset(done.pixels, used)
    with torch.inference_mode():
        batches = torch.utils.data.DataLoader(frames, BATCH)
        features = torch.cat([done.network.features(batch) for batch, _ in batches]).numpy()
    of_training = (used["split"] == "train").to_numpy()
    reduce = make_pipeline(StandardScaler(), PCA(DIMENSIONS, whiten=True, random_state=0)).fit(features[of_training])
    reduced = reduce.transform(features)
    found = {}
    for split in SPLITS:
        rows, films = [], []
        chosen = (used["split"] == split).to_numpy()
        for _, frames_of_film in used.assign(place=np.arange(len(used)))[chosen].groupby(VIDEO_KEY):
            in_order = frames_of_film.sort_values("frame")
            rows.append(in_order.iloc[0][[*VIDEO_KEY, "label", "group"]])
            films.append(reduced[in_order["place"]].astype(np.float64))
        kept = pd.DataFrame(rows).reset_index(drop=True)
        found[split] = Films(kept, films, kept["label"].to_numpy(np.float64))
    return found


def logistic(describe: Callable[[Floats], Floats]) -> Callable[[Films, Films, int], Head]:
    """Logistic regression of what ``describe`` makes of a video's features."""

    def described(features: list[Floats]) -> Floats:
        return np.stack(list(map(describe, features)))

    def fit(training: Films, validation: Films, _: int) -> Head:
        known = described(validation.features)
        fitted = [
            make_pipeline(StandardScaler(), LogisticRegression(C=decay, max_iter=1000, class_weight="balanced")).fit(
                described(training.features), training.labels
            )
            for decay in DECAYS
        ]
        best = max(fitted, key=lambda each: float(roc_auc_score(validation.labels, each.decision_function(known))))
        return lambda features: np.asarray(best.decision_function(described(features)))

    return fit


def mean_of(features: Floats) -> Floats:
    return np.asarray(features.mean(axis=0))


def mean_and_spread_of(features: Floats) -> Floats:
    return np.concatenate([features.mean(axis=0), features.std(axis=0), np.abs(np.diff(features, axis=0)).mean(axis=0)])


class Convolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(DIMENSIONS, DIMENSIONS, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(DIMENSIONS, DIMENSIONS, 3, padding=1),
            nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(2 * DIMENSIONS, 1))

    def forward(self, features: Tensor) -> Tensor:
        """The logit of one video, from its features of shape (frames, DIMENSIONS)."""
        maps = self.layers(features.T)
        logit: Tensor = self.head(torch.cat([maps.mean(1), maps.amax(1)]))[0]
        return logit


def convolution(training: Films, validation: Films, seed: int) -> Head:
    torch.manual_seed(seed)
    network, films = Convolution(), [torch.from_numpy(each).float() for each in training.features]
    labels = torch.from_numpy(training.labels).float()
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    weights = torch.tensor([1 / (labels == label).sum() for label in labels])  # both classes count alike

    def predict(features: list[Floats]) -> Floats:
        with torch.inference_mode():
            return np.array([float(network(torch.from_numpy(each).float())) for each in features])

    best, state = -1.0, {}
    for _ in range(EPOCHS):
        network.train()
        for batch in torch.split(torch.randperm(len(films)), 16):
            optimiser.zero_grad()
            logits = torch.stack([network(films[place]) for place in batch])
            loss = binary_cross_entropy_with_logits(logits, labels[batch], weights[batch] * len(films) / 2)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        network.eval()
        if (auroc := float(roc_auc_score(validation.labels, predict(validation.features)))) > best:
            best, state = auroc, {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(state)
    return predict


HEADS: dict[str, Callable[[Films, Films, int], Head]] = {
    "mean": logistic(mean_of),
    "spread": logistic(mean_and_spread_of),
    "convolution": convolution,
}


def table(tests: list[pd.DataFrame]) -> pd.DataFrame:
    """For each method the AUROC on each manipulation, as mean over the seeds, and its difference to the baseline."""
    logits = {name: np.stack([test[name].to_numpy() for test in tests]) for name in (BASELINE, *HEADS)}
    figures = {name: dict(aurocs(tests[0], values)) for name, values in logits.items()}
    groups = tests[0]["group"].nunique()
    changes = {
        (name, column): between_methods(figures[BASELINE][column], values, groups, paired=True)
        for name in HEADS
        for column, values in figures[name].items()
    }
    corrected = holm([change["p"] for change in changes.values()])
    found: dict[str, dict[str, str]] = {
        name: {column: f"{values[:, 0].mean():.3f}" for column, values in each.items()}
        for name, each in figures.items()
    }
    for ((name, column), change), p_value in zip(changes.items(), corrected, strict=True):
        interval = "" if change["interval"] is None else " [{:+.3f}, {:+.3f}]".format(*change["interval"])
        said = "" if p_value is None else f", p {p_value:.3f}"
        found[name][column] += f" ({change['difference']:+.3f}{interval}{said})"
    return pd.DataFrame(found).T


if __name__ == "__main__":
    run(main)
