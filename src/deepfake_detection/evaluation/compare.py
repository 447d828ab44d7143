"""Compares runs on the same frames: ``python -m deepfake_detection.evaluation.compare A B [C ...]``.

A, B and C are files like data/predictions.csv, git revisions or names of DVC experiments. Each is compared with A.
See docs/guides/experiments.md.
"""

import json
import math
import re
from argparse import ArgumentParser
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake_detection.common.components import components
from deepfake_detection.common.errors import UserError, one_line_exit
from deepfake_detection.common.tables import one_line_errors
from deepfake_detection.common.text import group_count, one_line
from deepfake_detection.common.units import drawn_units
from deepfake_detection.evaluation.bootstrap import DRAWS, METRICS, effective_groups, group_draws, resampled_metrics
from deepfake_detection.evaluation.differences import between_networks
from deepfake_detection.params.data_sections import of_use
from deepfake_detection.params.load import load_params

PREDICTIONS = "data/predictions.csv"
COLUMNS: dict[str, Any] = {
    "path": str,
    "category": str,
    "label": int,
    "video_id": str,
    "split": str,
    "probability": float,
}
IDENTITIES: dict[str, Any] = {"dataset": str, "source_id": str, "group": str}  # not in every file
# as index.index reads names: 005_f4.jpg of an original, 005_010_f4.jpg (target_source) of a manipulation
SOURCE = re.compile(r"[0-9]+_([0-9]+)_f[0-9]+\.[^/]*$")

Floats = NDArray[np.float64]


def compare(
    tables: Mapping[str, pd.DataFrame],
    groups: pd.Series,
    threshold: float | Mapping[str, float] = 0.5,
    seed: int = 0,
    draws: int = DRAWS,
) -> list[dict[str, Any]]:
    """The difference of every metric between each table and the first one, by a paired bootstrap over groups.

    ``tables`` have the same frames in the same order, with ``label`` and ``probability``. ``groups`` is the group of
    each frame. ``threshold`` is one for all tables, or one for each by its name. The same draws of groups serve all
    tables, so what makes a group hard for both cancels out (Efron & Tibshirani 1993, An Introduction to the Bootstrap,
    chapter 8). The interval is the difference plus or minus t times its standard error. ``p`` is the two-sided p value
    of the same t test, with as many degrees of freedom as ``effective_groups``, less one. Percentiles of the draws
    would call too many differences with few groups.
    ``p_holm`` is corrected for the number of tables compared, for each metric on its own (Holm 1979, Scandinavian
    Journal of Statistics 6).

    Returns for each table but the first: first, second, and for each metric in ``metrics`` first, second, difference
    (second minus first), interval, p, p_holm. Interval and p are None where they are undefined: with fewer than two
    effective groups, or where a metric needs a class that is not there. A difference that is the same in all draws has
    no interval. Its p is 1 if the difference is 0, otherwise None.
    """
    codes, found = pd.factorize(groups)
    size = len(found)
    counts = np.vstack([np.ones((1, size), np.int64), group_draws(size, seed, draws)])
    thresholds = threshold if isinstance(threshold, Mapping) else dict.fromkeys(tables, threshold)
    values = {
        name: resampled_metrics(
            table["label"].to_numpy(),
            table["probability"].to_numpy(float),
            codes.astype(np.int64),
            counts,
            thresholds[name],
        )
        for name, table in tables.items()
    }
    worth = effective_groups(next(iter(tables.values()))["label"].to_numpy(), codes.astype(np.int64))
    first, *others = values
    pairs: list[dict[str, Any]] = []
    for second in others:
        metrics = {name: _difference(values[first][name], values[second][name], worth[name]) for name in METRICS}
        pairs.append({"first": first, "second": second, "metrics": metrics})
    correct(pairs)
    return pairs


def correct(pairs: Sequence[dict[str, Any]]) -> None:
    """Writes ``p_holm`` into ``pairs`` of ``compare``, which may be of several calls."""
    for metric in METRICS:
        rows = [pair["metrics"][metric] for pair in pairs]
        for row, corrected in zip(rows, holm([row["p"] for row in rows]), strict=True):
            row["p_holm"] = corrected


def _difference(first: Floats, second: Floats, groups: float) -> dict[str, Any]:
    """``first`` and ``second``: the value in the sample, then those in the draws."""
    if math.isnan(first[0]):
        return dict.fromkeys(("first", "second", "difference", "interval", "p"))
    return {"first": float(first[0]), "second": float(second[0]), **between_networks(first, second, groups)}


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction: the k-th smallest of n p values times n - k + 1, never below an earlier one.

    None stays None and does not count.
    """
    defined = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(defined):
        largest = max(largest, min(1.0, (len(defined) - rank) * p))
        corrected[place] = largest
    return corrected


def read_predictions(name: str) -> pd.DataFrame:
    """The table of predictions in a file, or in data/predictions.csv of a git revision or DVC experiment.

    Raises UserError as ``opened`` does, and when the table lacks a column or has a wrong value or a frame twice.
    """
    with opened(name) as (source, path):
        return _parse(source, path)


@contextmanager
def opened(name: str) -> Iterator[tuple[Path | IO[str], Path]]:
    """What to read of the file ``name``, or of data/predictions.csv of a git revision or experiment, and what it is.

    Raises UserError when there is neither.
    """
    path = Path(name)
    if path.is_file():
        yield path, path
        return
    try:
        import dvc.api  # takes a second, and only names of revisions need it
        from dvc.exceptions import DvcException
        from scmrepo.exceptions import SCMError
    except ModuleNotFoundError:
        raise UserError(f"{name}: no such file, and without dvc no revision can be opened: pip install dvc") from None
    try:
        with dvc.api.open(PREDICTIONS, rev=name, encoding="utf-8") as file:
            yield file, Path(f"{PREDICTIONS} of {name}")
    except (DvcException, SCMError, FileNotFoundError) as error:
        raise UserError(
            f"{name}: neither a file nor a revision whose {PREDICTIONS} is there ({one_line(error)}): "
            "check the name, or get the file by `dvc fetch --all-commits`"
        ) from None


def _parse(source: Path | IO[str], name: Path) -> pd.DataFrame:
    types = COLUMNS | IDENTITIES
    with one_line_errors(name, "a table of predictions"):
        table = pd.read_csv(source, dtype=types, usecols=lambda column: column in types, keep_default_na=False)
        if missing := [column for column in COLUMNS if column not in table]:
            raise ValueError(f"it has no column {', '.join(missing)}")
        if not table["probability"].between(0, 1).all():
            raise ValueError("a probability is not a number from 0 to 1")
        if table["path"].duplicated().any():
            raise ValueError(f"{table.loc[table['path'].duplicated(), 'path'].iloc[0]} is in it twice")
    return table


def choose_rows(
    tables: Mapping[str, pd.DataFrame], split: str, categories: Collection[str] | None
) -> tuple[dict[str, pd.DataFrame], list[str], list[str]]:
    """The rows of a split and of the categories to compare, sorted by path; then the categories kept and left out.

    ``categories`` names manipulations; originals always stay. None keeps the categories that all tables hold.

    Raises UserError when a table has no row of the split or lacks a category that is named.
    """
    parts = {name: table[table["split"] == split] for name, table in tables.items()}
    for name, part in parts.items():
        if part.empty:
            splits = ", ".join(sorted(tables[name]["split"].unique()))
            raise UserError(f"{name} has no {split} frames, only {splits or 'none'}: choose another --split")
    held = {name: set(part["category"]) for name, part in parts.items()}
    for name, part in parts.items():
        if unknown := sorted(set(categories or ()) - held[name]):
            manipulations = ", ".join(sorted(part.loc[part["label"] == 1, "category"].unique()))
            raise UserError(f"{name} has no {split} frames of {', '.join(unknown)}, only of {manipulations}")
    kept = set.intersection(*held.values())
    if categories is not None:
        originals = {name for part in parts.values() for name in part.loc[part["label"] == 0, "category"]}
        kept &= {*categories, *originals}
    chosen = {
        name: part[part["category"].isin(kept)].sort_values("path", ignore_index=True) for name, part in parts.items()
    }
    return chosen, sorted(kept), sorted(set.union(*held.values()) - kept)


def common_frames(tables: Mapping[str, pd.DataFrame], common: bool) -> tuple[dict[str, pd.DataFrame], int]:
    """The tables with the same frames each, and how many frames were left out, of which there are some with ``common``.

    Raises UserError when the frames differ and ``common`` is false, when no frame is in all tables, and when a frame
    has two labels.
    """
    first, *others = tables
    for name in others:
        ours, theirs = set(tables[first]["path"]), set(tables[name]["path"])
        if ours != theirs and not common:
            raise UserError(
                f"{first} and {name} hold different frames: {len(ours - theirs)} only in the first, "
                f"{len(theirs - ours)} only in the second, {len(ours & theirs)} in both; "
                "--common compares those in both"
            )
    everywhere = set.intersection(*(set(table["path"]) for table in tables.values()))
    anywhere = set.union(*(set(table["path"]) for table in tables.values()))
    if not everywhere:
        raise UserError("no frame is in all of the files: compare runs on the same data")
    kept = {name: table[table["path"].isin(everywhere)].reset_index(drop=True) for name, table in tables.items()}
    for name in others:
        if (differ := kept[first]["label"] != kept[name]["label"]).any():
            raise UserError(
                f"{first} and {name} label {differ.sum()} frames differently, "
                f"for example {kept[first].loc[differ, 'path'].iloc[0]}: compare runs on the same data"
            )
    return kept, len(anywhere) - len(everywhere)


def groups_of(tables: Mapping[str, pd.DataFrame], paths: pd.Series) -> tuple[pd.Series, str]:
    """The identity group of each path, and where it comes from, in words.

    ``tables`` are whole files. The first that has the column ``group`` gives it. Otherwise groups are the
    components of video_id and source_id, or of the ids in the file names where no file has source_id.
    """
    for name, table in tables.items():
        if "group" in table:
            return paths.map(table.set_index("path")["group"]), f"the column group of {name}"
    for name, table in tables.items():
        if "source_id" in table:
            return paths.map(_identity_groups(table)), f"video_id and source_id of {name}, which has no column group"
    first = next(iter(tables.values()))
    sources = first["path"].str.extract(SOURCE, expand=False).fillna("")
    words = "video_id and the source in the file names, as no file has a column group or source_id"
    return paths.map(_identity_groups(first.assign(source_id=sources))), words


def _identity_groups(table: pd.DataFrame) -> pd.Series:
    source = table["source_id"].where(table["source_id"] != "", table["video_id"])
    return pd.Series(components(table["video_id"], source).to_numpy(), index=table["path"])


def report(
    names: Sequence[str],
    *,
    split: str = "test",
    categories: Collection[str] | None = None,
    unseen: bool = False,
    datasets: Collection[str] | None = None,
    common: bool = False,
    threshold: float = 0.5,
    seed: int = 0,
    draws: int = DRAWS,
) -> dict[str, Any]:
    """Reads the files or revisions ``names``, compares each with the first, and says on what. See ``compare``.

    ``categories`` are those of ``choose_rows``. ``unseen`` takes the manipulations that params.yaml does not train on.
    ``datasets`` names data sets; None takes those that are trained on, of which a file has validation frames.

    Raises UserError for fewer than two names, for a data set that a file lacks, and as ``read_predictions``,
    ``choose_rows`` and ``common_frames`` do.
    """
    if len(names) < 2:
        raise UserError("name at least two files or revisions")
    # A name may be given twice, and each key only once.
    keys = [f"{name} ({place + 1})" if name in names[:place] else name for place, name in enumerate(names)]
    tables = {key: read_predictions(name) for key, name in zip(keys, names, strict=True)}
    tables = {key: _of_datasets(key, table, datasets) for key, table in tables.items()}
    if unseen:
        categories = _unseen_categories(tables)
    chosen, kept, left_out = choose_rows(tables, split, categories)
    chosen, missing = common_frames(chosen, common)
    rows = next(iter(chosen.values()))
    groups, origin = groups_of(tables, rows["path"])
    groups = drawn_units(rows.assign(group=groups))
    return {
        "split": split,
        "categories": kept,
        "categories_left_out": left_out,
        "frames": len(groups),
        "frames_left_out": missing,
        "groups": int(groups.nunique()),
        "groups_from": origin,
        "threshold": threshold,
        "pairs": compare(chosen, groups, threshold, seed, draws),
    }


def _of_datasets(name: str, table: pd.DataFrame, datasets: Collection[str] | None) -> pd.DataFrame:
    if "dataset" not in table:
        if datasets:
            raise UserError(f"{name} has no column dataset: leave out --datasets")
        return table
    if datasets is None:
        trained = table.loc[table["split"] == "val", "dataset"].unique()
        return table[table["dataset"].isin(trained)] if len(trained) else table
    if unknown := sorted(set(datasets) - set(table["dataset"])):
        there = ", ".join(sorted(table["dataset"].unique()))
        raise UserError(f"{name} has no frames of {', '.join(unknown)}, only of {there}")
    return table[table["dataset"].isin(datasets)]


def _unseen_categories(tables: Mapping[str, pd.DataFrame]) -> set[str]:
    """The manipulations in all tables that params.yaml holds out."""
    held = set.intersection(*(set(table.loc[table["label"] == 1, "category"]) for table in tables.values()))
    held_out = {name for each in of_use(load_params().datasets, "train").values() for name in each.unseen}
    if not (unseen := held & held_out):
        raise UserError(f"{', '.join(sorted(held))}: datasets.<name>.unseen has none of what the files have in common")
    return unseen


def as_text(found: dict[str, Any]) -> str:
    """The report as lines and tables for a terminal."""
    left_out = f" (left out: {', '.join(found['categories_left_out'])})" if found["categories_left_out"] else ""
    missing = f" ({found['frames_left_out']} that are not in all files left out)" if found["frames_left_out"] else ""
    lines = [
        f"{found['frames']} {found['split']} frames{missing}, {group_count(found['groups'])}",
        f"categories: {', '.join(found['categories'])}{left_out}",
        f"groups: {found['groups_from']}",
        f"threshold: {found['threshold']:g} on the probability",
    ]
    for pair in found["pairs"]:
        table = pd.DataFrame.from_dict(
            {metric: _cells(row, len(found["pairs"]) > 1) for metric, row in pair["metrics"].items()}, orient="index"
        )
        lines += ["", f"first: {pair['first']}", f"second: {pair['second']}", table.to_string()]
    return "\n".join(lines)


def _cells(row: dict[str, Any], several: bool) -> dict[str, str]:
    def form(value: float | None, digits: str) -> str:
        return "-" if value is None else f"{value:{digits}}"

    return {
        "first": form(row["first"], ".4f"),
        "second": form(row["second"], ".4f"),
        "difference": form(row["difference"], "+.4f"),
        "95%": "-" if row["interval"] is None else "[{:+.4f}, {:+.4f}]".format(*row["interval"]),
        "p": form(row["p"], ".3f"),
    } | ({"p (Holm)": form(row["p_holm"], ".3f")} if several else {})


def main(arguments: Sequence[str] | None = None) -> None:
    """The command. A mistake that the user can fix ends it with a one-line message and exit status 1."""
    parser = ArgumentParser(prog="python -m deepfake_detection.evaluation.compare", description="Compares runs.")
    parser.add_argument(
        "names", nargs="+", metavar="FILE|REVISION", help="the first is what the others are compared with"
    )
    parser.add_argument("--split", default="test", help="the split to compare on (default: test)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--categories", help="manipulations to compare on, with commas (default: all that every file holds)"
    )
    which.add_argument("--unseen", action="store_true", help="only manipulations that params.yaml does not train on")
    parser.add_argument("--datasets", help="data sets to compare on, with commas (default: those trained on)")
    parser.add_argument("--common", action="store_true", help="compare the frames that all files hold")
    parser.add_argument("--threshold", type=float, default=0.5, help="on the probability (default: 0.5)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"of the bootstrap (default: {DRAWS})")
    parser.add_argument("--json", action="store_true", help="print JSON")
    wanted = parser.parse_args(arguments)
    with one_line_exit():
        if not 0 < wanted.threshold < 1 or wanted.draws < 100 or wanted.seed < 0:
            raise UserError("--threshold must lie between 0 and 1, --draws be 100 or more, --seed 0 or more")
        found = report(
            wanted.names,
            split=wanted.split,
            categories=wanted.categories.split(",") if wanted.categories else None,
            unseen=wanted.unseen,
            datasets=wanted.datasets.split(",") if wanted.datasets else None,
            common=wanted.common,
            threshold=wanted.threshold,
            seed=wanted.seed,
            draws=wanted.draws,
        )
        print(json.dumps(found, indent=2, allow_nan=False) if wanted.json else as_text(found))


if __name__ == "__main__":
    main()
