"""Finds out which layout a folder has, and reads it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.layouts import (
    celebdf,
    deepfakebench,
    dfdc,
    dfdc_preview,
    faceforensics,
    folders,
    kaggle,
    manifest,
    wilddeepfake,
)
from deepfake_detection.sources.layouts.table import DEFAULT, Layout, Options
from deepfake_detection.sources.layouts.tree import Tree

AUTO = "auto"

_INNER = 20  # of a folder without a known layout, how many inner folders are tried


class Module(Protocol):
    """What a module of this package must have. ``LOOKS_FOR`` says in a few words what it looks for."""

    LOOKS_FOR: str

    def recognise(self, folder: Path) -> str: ...

    def read(self, folder: Path, options: Options = ...) -> Layout: ...


LAYOUTS: Mapping[str, Module] = {
    "kaggle": kaggle,
    "faceforensics": faceforensics,
    "celebdf": celebdf,
    "dfdc": dfdc,
    "dfdc_preview": dfdc_preview,
    "deepfakebench": deepfakebench,
    "wilddeepfake": wilddeepfake,
    "folders": folders,
    "manifest": manifest,
}


def detect(folder: Path) -> tuple[str, str]:
    """The layout of a folder, or of a list of files, and why.

    Links count as what they lead to, wherever that is: whether they are followed, ``read`` decides.

    Raises UserError, in one line, if there is nothing at ``folder``, if no layout fits, or if several do.
    """
    if not folder.exists():
        raise UserError(f"{folder}: no such file or folder: correct path")
    fitting = _fitting(folder)
    if len(fitting) == 1:
        return next(iter(fitting.items()))
    if fitting:
        reasons = "; ".join(f"{name} ({why})" for name, why in fitting.items())
        raise UserError(f"{folder} fits several layouts: {reasons}: say in layout which one is meant")
    inside = Tree(folder, trusted=True).folders() if folder.is_dir() else []
    if not inside and (not folder.is_dir() or not Tree(folder, trusted=True).files()):
        what = "is empty" if folder.is_dir() else "is neither a folder nor a CSV, TSV or Parquet file"
        raise UserError(f"{folder} {what}: path must name a data set")
    for name in inside[:_INNER]:
        if inner := _fitting(folder / name):
            raise UserError(
                f"{folder} has no known layout, but its folder {name} fits {next(iter(inner))}: "
                f"set path to {folder / name}"
            )
    looked_for = "; ".join(f"{name}: {module.LOOKS_FOR}" for name, module in LAYOUTS.items())
    raise UserError(f"{folder} has no known layout; looked for: {looked_for}; correct path")


def fits(folder: Path) -> bool:
    """Whether any layout fits a folder, or a list of files."""
    return bool(_fitting(folder))


def _fitting(folder: Path) -> dict[str, str]:
    reasons = {name: module.recognise(folder) for name, module in LAYOUTS.items()}
    return {name: why for name, why in reasons.items() if why}


def read(folder: Path, layout: str = AUTO, options: Options = DEFAULT) -> tuple[str, str, Layout]:
    """The layout of a folder, why it is this one, and what the folder holds. ``layout`` chooses it, or is AUTO.

    Files are relative to ``folder``, or if that is a list of files, to the folder in which it lies.
    Raises UserError as ``detect`` and the layouts do.
    """
    name, why = detect(folder) if layout == AUTO else (layout, "layout says so")
    if layout != AUTO and not LAYOUTS[name].recognise(folder):
        raise UserError(f"{folder} does not fit layout {name}: there is no {LAYOUTS[name].LOOKS_FOR}")
    return name, why, LAYOUTS[name].read(folder, options)
