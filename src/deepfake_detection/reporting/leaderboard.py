"""A leaderboard of detectors, from their scores: ``python -m deepfake_detection.reporting.leaderboard NAME=FILE ...``.

Each is compared with the first. See docs/guides/compare-detectors.md.
"""

import json
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deepfake_detection.common.errors import UserError, one_line_exit
from deepfake_detection.common.files import write_csv, write_figure, write_json
from deepfake_detection.common.text import group_count, printable
from deepfake_detection.evaluation.bootstrap import DRAWS, METRICS
from deepfake_detection.evaluation.detectors import SEED, Leaderboard, hints, leaderboard
from deepfake_detection.evaluation.scores import TAKEN, Kind, Known, known_by, read_detector, read_known
from deepfake_detection.network.sidecar import read_sidecar

INDEX = Path("data/index.csv")
NONE = "none"  # in place of the index
SHOWN = {"average_precision": "AP", "eer": "EER", "accuracy": "accuracy"}  # in the text, beside the AUROC
ACROSS = 3  # panels side by side
FIRST, OTHER, CHANCE = "#c8553d", "#3b6ea8", "0.7"  # colours


def main(arguments: Sequence[str] | None = None) -> None:
    """The command. A mistake that the user can fix ends it with a one-line message and exit status 1."""
    parser = ArgumentParser(
        prog="python -m deepfake_detection.reporting.leaderboard",
        description="Compares detectors by their scores of the same frames or videos. A high score means fake.",
    )
    parser.add_argument(
        "detectors", nargs="+", metavar="NAME=FILE", help="a CSV, or a revision; the others are compared with the first"
    )
    parser.add_argument("--index", help=f"what there is to score (default: {INDEX}), or none: the files say it")
    parser.add_argument("--split", default="test", help="the split to compare on (default: test)")
    parser.add_argument("--level", choices=["video", "frame"], default="video", help="what is counted (default: video)")
    parser.add_argument("--datasets", help="with commas (default: those of which all have scores)")
    parser.add_argument("--categories", help="manipulations, with commas (default: all)")
    parser.add_argument(
        "--missing",
        choices=["exclude", "as_chance"],
        default="exclude",
        help="leave out what not all scored (default), or count a missing video as a guess",
    )
    parser.add_argument(
        "--real-is-high", action="append", default=[], metavar="NAME", help="its high scores mean real ones"
    )
    parser.add_argument(
        "--kind",
        action="append",
        default=[],
        metavar="NAME=KIND",
        help="probability, logit or order (default: by range)",
    )
    parser.add_argument(
        "--calibration", action="append", default=[], metavar="NAME=SIDECAR", help="the .json that reads its logits"
    )
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="write tables and a picture there")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the draws (default: {SEED})")
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"of the bootstrap (default: {DRAWS})")
    parser.add_argument("--json", action="store_true", help="print JSON")
    wanted = parser.parse_args(arguments)
    with one_line_exit():
        if wanted.draws < 100 or wanted.seed < 0:
            raise UserError("--draws must be 100 or more, --seed 0 or more")
        files = _files(wanted.detectors)
        kinds = {name: _kind(word) for name, word in _of_each(wanted.kind, "--kind", files).items()}
        sidecars = _of_each(wanted.calibration, "--calibration", files)
        if unknown := set(wanted.real_is_high) - set(files):
            raise UserError(f"--real-is-high {', '.join(sorted(unknown))}: there are only {', '.join(files)}")
        detectors = {
            name: read_detector(
                file,
                kinds.get(name),
                name in wanted.real_is_high,
                read_sidecar(Path(sidecars[name])) if name in sidecars else None,
            )
            for name, file in files.items()
        }
        board = leaderboard(
            detectors,
            _known(wanted.index) or known_by(detectors),
            split=wanted.split,
            level=wanted.level,
            datasets=wanted.datasets.split(",") if wanted.datasets else None,
            categories=wanted.categories.split(",") if wanted.categories else None,
            as_chance=wanted.missing == "as_chance",
            seed=wanted.seed,
            draws=wanted.draws,
        )
        if wanted.to:
            write(board, wanted.to)
        print(json.dumps(board.found, indent=2, allow_nan=False) if wanted.json else as_text(board.found))


def write(board: Leaderboard, folder: Path) -> None:
    """Writes leaderboard.json, .csv and .png, and coverage.csv, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "leaderboard.json", board.found)
    write_csv(folder / "leaderboard.csv", as_table(board.found))
    write_csv(folder / "coverage.csv", board.coverage)
    write_figure(folder / "leaderboard.png", leaderboard_figure(board.found))


def as_text(found: dict[str, Any]) -> str:
    """The ``found`` of a leaderboard as lines and tables for a terminal."""
    lines = [f"{name}: {each['taken']}" for name, each in found["detectors"].items()]
    for dataset, each in found["datasets"].items():
        counts = f"{each['compared']} of {each['named']} {found['level']}s, {each['fakes']} of them fakes"
        table = pd.DataFrame.from_dict({name: _cells(found, each, name) for name in found["detectors"]}, orient="index")
        split = f", {found['split']} split" if found["split"] else ""
        head = f"{dataset}{split}, by {found['level']}: {counts}, {group_count(each['groups'])}"
        lines += ["", head, table.to_string()]
        if len(each["categories"]) > 1:
            blocks = each["categories"].items()
            aurocs = {
                category: {name: _number(of[name]["auroc"]) for name in found["detectors"]} for category, of in blocks
            }
            lines += ["AUROC of each manipulation against all originals", pd.DataFrame(aurocs).to_string()]
    if found["datasets_left_out"]:
        lines += ["", f"left out, as not asked for or not scored by all: {', '.join(found['datasets_left_out'])}"]
    differences = sum(len(each["pairs"]) for each in found["datasets"].values())
    if differences:
        lines += ["", f"difference: to {found['first']}; p (Holm): corrected for {differences} differences"]
    return "\n".join(lines + hints(found))


def _cells(found: dict[str, Any], each: dict[str, Any], name: str) -> dict[str, str]:
    block, coverage = each["detectors"][name], each["coverage"][name]
    cells = {"AUROC": _number(block["auroc"]), "95%": _ends(block["intervals"]["auroc"], "")}
    if each["pairs"]:
        row = {} if name == found["first"] else _difference(each, name)
        cells |= {
            "difference": _number(row["difference"], "+") if row else "",
            "95% of it": _ends(row["interval"], "+") if row else "",
            "p (Holm)": _p(row["p_holm"]) if row else "",
        }
    shown = {name: _number(block[metric]) for metric, name in SHOWN.items()}
    return cells | shown | {"ok, missing, error": ", ".join(map(str, coverage.values()))}


def _difference(each: dict[str, Any], name: str) -> dict[str, Any]:
    row: dict[str, Any] = next(pair["metrics"]["auroc"] for pair in each["pairs"] if pair["second"] == name)
    return row


def _number(value: float | None, sign: str = "", digits: int = 4) -> str:
    return "-" if value is None else f"{value:{sign}.{digits}f}"


def _p(value: float | None) -> str:
    return "<0.001" if value is not None and value < 0.0005 else _number(value, digits=3)


def _ends(interval: Sequence[float] | None, sign: str) -> str:
    return "-" if interval is None else f"[{interval[0]:{sign}.3f}, {interval[1]:{sign}.3f}]"


def as_table(found: dict[str, Any]) -> pd.DataFrame:
    """A row for each data set and detector, and for each manipulation, whose ``category`` is not "".

    It has every metric, the ends of the AUROC, the AUROC's difference to the first detector with its ends and p values,
    and how many videos have a score, none, or an error.
    """
    rows = []
    for dataset, each in found["datasets"].items():
        for category, blocks in {"": each["detectors"], **each["categories"]}.items():
            for name in found["detectors"]:
                block = blocks[name]
                low, high = block["intervals"]["auroc"] or (None, None)
                row = {"dataset": dataset, "category": category, "level": found["level"], "detector": name}
                row |= {"groups": block["groups"], **{metric: block[metric] for metric in METRICS}}
                row |= {"auroc_low": low, "auroc_high": high}
                if not category:
                    row |= {f"videos_{status}": count for status, count in each["coverage"][name].items()}
                    if name != found["first"]:
                        change = _difference(each, name)
                        low, high = change["interval"] or (None, None)
                        row |= {"difference": change["difference"], "difference_low": low, "difference_high": high}
                        row |= {"p": change["p"], "p_holm": change["p_holm"]}
                rows.append(row)
    table = pd.DataFrame(rows)
    return table.astype({name: "Int64" for name in table.columns if name.startswith("videos_")})


def leaderboard_figure(found: dict[str, Any]) -> Figure:
    """AUROC and 95% interval of each detector, one panel a data set; the first named is in a colour of its own.

    Small rings are the AUROC of single manipulations. Beside each stand the number and the corrected p of its
    difference to the first.
    """
    names, datasets = list(found["detectors"]), found["datasets"]
    across = min(len(datasets), ACROSS)
    down = -(-len(datasets) // across)
    figure = Figure(figsize=(1.6 + 3.9 * across, (1.3 + 0.55 * len(names)) * down + 0.2), layout="constrained")
    panels = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
    for empty in panels[len(datasets) :]:
        empty.axis("off")
    shown = as_table(found)
    lowest = np.nanmin([0.45, *shown["auroc"].astype(float), *shown.query("category == ''")["auroc_low"].astype(float)])
    for axes, (dataset, each) in zip(panels, datasets.items(), strict=False):
        axes.axvline(0.5, color=CHANCE, linestyle="--", linewidth=1)
        for place, name in enumerate(names):
            block = each["detectors"][name]
            if block["auroc"] is None:
                continue
            colour = FIRST if name == found["first"] else OTHER
            if ends := block["intervals"]["auroc"]:
                axes.plot(ends, [place, place], color=colour, linewidth=2, solid_capstyle="butt")
            if len(each["categories"]) > 1:
                aurocs = [of[name]["auroc"] for of in each["categories"].values()]
                axes.plot(aurocs, [place] * len(aurocs), "o", markersize=5, fillstyle="none", color=colour, alpha=0.5)
            axes.plot(block["auroc"], place, "o", color=colour, markersize=8)
            said = _number(block["auroc"], digits=3)
            if name != found["first"]:
                row = _difference(each, name)
                said += f"\n{_number(row['difference'], '+', 3)}, p {_p(row['p_holm'])}"
            axes.text(1.02, place, said, va="center", fontsize=8, transform=axes.get_yaxis_transform())
        axes.set(xlim=(lowest - 0.02, 1.01), ylim=(len(names) - 0.4, -0.6), xlabel=f"AUROC by {found['level']}")
        axes.set_title(f"{dataset}\n{each['compared']} {found['level']}s, {group_count(each['groups'])}", fontsize=10)
        axes.grid(axis="x", alpha=0.25)
    panels[0].set_yticks(range(len(names)), names)
    below = f"difference and p (Holm): to {found['first']}" if len(names) > 1 else ""
    if any(len(each["categories"]) > 1 for each in datasets.values()):
        below = f"ring: one manipulation against all originals{'; ' * bool(below)}{below}"
    figure.supxlabel(below, fontsize=8)
    return figure


def _files(arguments: Sequence[str]) -> dict[str, str]:
    """The file of each detector by its name: that before the first "=", or the file's own without its ending."""
    found: dict[str, str] = {}
    for argument in arguments:
        name, equals, file = argument.partition("=")
        if not equals or Path(argument).is_file():
            name, file = Path(argument).stem, argument
        if not name or not file or name in found:
            raise UserError(f"{argument}: write NAME=FILE, and each NAME once")
        found[printable(name)] = file
    return found


def _of_each(pairs: Sequence[str], option: str, names: Mapping[str, str]) -> dict[str, str]:
    """What an option says by NAME=VALUE."""
    found = dict(pair.partition("=")[::2] for pair in pairs)
    if wrong := [name for name, value in found.items() if name not in names or not value]:
        raise UserError(f"{option} {wrong[0]}: write NAME=VALUE, with a NAME of {', '.join(names)}")
    return found


def _kind(word: str) -> Kind:
    for kind in TAKEN:
        if kind == word:
            return kind
    raise UserError(f"--kind {word}: write {', '.join(TAKEN)}")


def _known(index: str | None) -> Known | None:
    if index == NONE or (index is None and not INDEX.is_file()):
        return None
    return read_known(Path(index or INDEX))


if __name__ == "__main__":
    main()
