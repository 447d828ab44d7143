"""The table of a study, with paired differences: ``python -m experiments.table STUDY``.

Each figure is the mean over the seeds, with their standard deviation. A difference is that of a method to the baseline.
Its 95% interval counts that other seeds and other identity groups give other numbers. The p values are corrected for
all differences that are printed (Holm).
"""

from argparse import ArgumentParser
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_json
from deepfake_detection.common.tables import read_index
from deepfake_detection.evaluation.bootstrap import frame_metrics, group_draws, resampled_auroc
from deepfake_detection.evaluation.calibration import calibrate
from deepfake_detection.evaluation.compare import holm
from deepfake_detection.evaluation.corruptions import CORRUPTIONS
from deepfake_detection.evaluation.differences import between_methods
from experiments.study import RESULTS, Study, read_study, result_file
from stages import run

Floats = NDArray[np.float64]
Figures = dict[str, tuple[int, Floats]]
"""By name, the number of groups that a figure comes from, and its values as of ``Frames.aurocs``."""
DRAWS = 1000


class Results(NamedTuple):
    """The logits of a method, each with the seeds in the first dimension, and the seconds of a training."""

    val: Floats
    test: Floats
    evaluated: Floats
    corrupted: Floats
    seconds: Floats


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("study", help="a file of experiments/studies/, without .yaml")
    name = parser.parse_args().study
    study, folder = read_study(name), RESULTS / name
    rows = {part: read_index(folder / f"{part}.csv") for part in ("val", "test", "evaluated", "corrupted")}
    results = {method: found for method in study.methods if (found := read_results(study, name, method))}
    if study.baseline not in results:
        raise UserError(f"{study.baseline}: no result for every seed yet; run python -m experiments.run {name}")
    if missing := [method for method in study.methods if method not in results]:
        print(f"no result for every seed yet: {', '.join(missing)}\n")
    figures = {method: measure(study, rows, found) for method, found in results.items()}
    seeds = {method: {key: values[:, 0] for key, (_, values) in found.items()} for method, found in figures.items()}
    for method, found in results.items():
        seeds[method] |= calibration_errors(rows, found) | {"seconds to train": found.seconds}
    table = pd.DataFrame(
        {
            method: {key: f"{each.mean():.3f} ± {each.std(ddof=len(each) > 1):.3f}" for key, each in values.items()}
            for method, values in seeds.items()
        }
    )
    differences = compare(study, figures)
    write_json(
        folder / "table.json",
        {
            "seeds": {method: {key: each.tolist() for key, each in values.items()} for method, values in seeds.items()},
            "differences": differences,
        },
    )
    print(table.to_string())
    for key, row in differences.items():
        print(f"\n{key}: less {study.baseline}")
        for method, each in row.items():
            ends = (
                ""
                if each["interval"] is None
                else "[{:+.3f}, {:+.3f}], p {:.3f} (Holm)".format(*each["interval"], each["p_holm"])
            )
            print(f"{method:24}{each['difference']:+8.3f} {ends}")


def read_results(study: Study, name: str, method: str) -> Results | None:
    """The results of all seeds, or None if some are not there yet."""
    paths = [result_file(name, method, seed) for seed in study.seeds]
    if not all(path.exists() for path in paths):
        return None
    found = []
    for path in paths:
        with np.load(path, allow_pickle=False) as file:
            found.append([file[field].astype(np.float64) for field in Results._fields])
    return Results(*(np.array(values) for values in zip(*found, strict=True)))


class Frames(NamedTuple):
    """Frames that are scored together, and draws of their groups."""

    rows: pd.DataFrame
    codes: NDArray[np.int64]  # the group of each frame
    counts: NDArray[np.int64]  # how often each group is counted: once in the sample, then in each draw

    def aurocs(self, logits: Floats, chosen: NDArray[np.bool_] | None = None) -> Floats:
        """The AUROC of ``chosen`` frames for each seed, in the sample and in each draw: shape (seeds, 1 + draws)."""
        kept = np.ones(len(self.rows), bool) if chosen is None else chosen
        labels = self.rows["label"].to_numpy()[kept]
        return np.array([resampled_auroc(labels, each[kept], self.codes[kept], self.counts) for each in logits])


def with_draws(rows: pd.DataFrame) -> Frames:
    codes, names = pd.factorize(rows["group"])
    draws = group_draws(len(names), 0, DRAWS)
    return Frames(rows, codes.astype(np.int64), np.vstack([np.ones((1, len(names)), np.int64), draws]))


def measure(study: Study, rows: dict[str, pd.DataFrame], found: Results) -> Figures:
    """The figures of a method."""
    test, evaluated = rows["test"], rows["evaluated"]
    own = evaluated["dataset"].isin(test["dataset"]) & evaluated["group"].isin(test["group"])
    # manipulations of the test side's videos that were not trained on, against the originals of the same videos
    side = with_draws(pd.concat([test, evaluated[own]], ignore_index=True))
    logits = np.concatenate([found.test, found.evaluated[:, own]], axis=1)
    categories = side.rows["category"]
    seen = categories.isin(test["category"]).to_numpy()
    original = (side.rows["label"] == 0).to_numpy()
    groups = side.counts.shape[1]
    figures: Figures = {"seen": (groups, side.aurocs(logits, seen))}
    unseen = sorted(set(categories[~seen]))
    each = [side.aurocs(logits, original | (categories == name).to_numpy()) for name in unseen]
    figures |= {f"unseen: {name}": (groups, values) for name, values in zip(unseen, each, strict=True)}
    if each:
        figures |= {"unseen, mean": (groups, np.mean(each, axis=0)), "unseen, worst": (groups, np.min(each, axis=0))}
    for name in sorted(set(evaluated["dataset"]) - set(test["dataset"])):
        chosen = (evaluated["dataset"] == name).to_numpy()
        other = with_draws(evaluated[chosen])
        figures[f"data set: {name}"] = (other.counts.shape[1], other.aurocs(found.evaluated[:, chosen]))
    return figures | drops(study, rows, found)


def drops(study: Study, rows: dict[str, pd.DataFrame], found: Results) -> Figures:
    """How far the AUROC falls under corruptions of trained and of held-out families, and under each of them."""
    sample = with_draws(rows["corrupted"])
    place = pd.Series(range(len(rows["test"])), index=rows["test"]["path"])[rows["corrupted"]["path"]].to_numpy()
    clean, groups = sample.aurocs(found.test[:, place]), sample.counts.shape[1]
    passes = found.corrupted.reshape(len(found.corrupted), -1, len(sample.rows))
    each = {name: [] for name in CORRUPTIONS}  # type: dict[str, list[Floats]]
    kinds = [name for name, corruption in CORRUPTIONS.items() for _ in corruption.settings]
    for number, name in enumerate(kinds):
        each[name].append(clean - sample.aurocs(passes[:, number]))
    by_name = {name: np.mean(values, axis=0) for name, values in each.items()}
    families = {
        "drop, trained families": [name for name in by_name if name not in study.held_out],
        "drop, held-out families": study.held_out,
    }
    means = {family: np.mean([by_name[name] for name in names], axis=0) for family, names in families.items()}
    figures = {family: (groups, values) for family, values in means.items()}
    return figures | {f"drop: {name}": (groups, values) for name, values in by_name.items()}


def calibration_errors(rows: dict[str, pd.DataFrame], found: Results) -> dict[str, Floats]:
    """The ECE of the test frames and of each further data set for each seed, calibrated on the validation frames."""
    labels, evaluated = rows["val"]["label"].to_numpy(), rows["evaluated"]
    parts = {"ECE": (rows["test"], found.test)}
    for name in sorted(set(evaluated["dataset"]) - set(rows["test"]["dataset"])):
        chosen = (evaluated["dataset"] == name).to_numpy()
        parts[f"ECE, data set: {name}"] = (evaluated[chosen], found.evaluated[:, chosen])
    errors: dict[str, Floats] = {}
    for name, (part, every) in parts.items():
        each = []
        for val, logits in zip(found.val, every, strict=True):
            calibration = calibrate(val, labels, 0.5, 0.5)
            probabilities = calibration.probability(logits)
            each.append(frame_metrics(part["label"].to_numpy(), probabilities, calibration.threshold)["ece"])
        errors[name] = np.array(each)
    return errors


def compare(study: Study, figures: dict[str, Figures]) -> dict[str, dict[str, dict[str, Any]]]:
    """The difference of each method to the baseline, by figure and method, as of ``between_methods``.

    ``figures`` has those of each method. Only what ``is_read`` is compared: ``p_holm`` is corrected for all of it.
    """
    base = figures[study.baseline]
    found: dict[str, dict[str, dict[str, Any]]] = {key: {} for key in base if is_read(key)}
    for key, row in found.items():
        groups, baseline = base[key]
        for method in [each for each in figures if each != study.baseline]:
            paired = study.methods[method].get("of") == study.baseline
            row[method] = between_methods(baseline, figures[method][key][1], groups, paired)
    every = [difference for row in found.values() for difference in row.values()]
    for difference, p_value in zip(every, holm([each["p"] for each in every]), strict=True):
        difference["p_holm"] = p_value
    return found


def is_read(figure: str) -> bool:
    """Whether methods are compared in a figure. The others are parts of these, and say where a difference lies."""
    return figure in ("seen", "unseen, mean") or figure.startswith(("data set: ", "drop, "))


if __name__ == "__main__":
    run(main)
