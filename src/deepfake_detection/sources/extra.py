"""Brings the data sets of data.extra into data/raw, each into a folder of its own."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, get_args

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.params.data import DRAWN_LAYOUTS, Data, Extra, in_use
from deepfake_detection.sources.gather import TABLE_COLUMNS, bring, is_taken
from deepfake_detection.sources.layout import DATASET, DRAWN, EXTRA_LEFT_OUT, EXTRA_TABLE, TABLE, VIDEO
from deepfake_detection.sources.layouts import detect, kaggle, manifest, unlabelled
from deepfake_detection.sources.layouts.table import REJECTED_COLUMNS, Layout, Options


def require_free_names(extra: Iterable[Extra], main: Iterable[str]) -> None:
    """Raises UserError if one of the further data sets is called as a main one, or as something else in data/raw."""
    main = set(main)
    for each in extra:
        if each.name in main or is_taken(each.name):
            whose = "the main data set" if each.name in main else "something else in data/raw"
            raise UserError(f"data.extra: {each.name} is the name of {whose}: give it another one")


def main_names(data: Data, raw: Path) -> list[str]:
    """The names of the main data sets, whose frames are in ``raw`` already."""
    if (raw / TABLE).is_file():
        return list(pd.read_csv(raw / TABLE, dtype=str, usecols=["dataset"])["dataset"].unique())
    return [DRAWN if data.source == "embedded" else DATASET]


class Found(NamedTuple):
    """What the folder of a further data set holds, relative to ``base``. None: it is drawn when it is gathered."""

    extra: Extra
    base: Path | None
    layout: Layout | None


def find_extra(data: Data) -> list[Found]:
    """Looks into the folder of each of ``data.extra``. It takes seconds, so it comes before hours of download.

    Raises UserError as ``detect.read`` does, for a folder that holds several data sets of which none is named, and for
    a part for the test that lacks a class.
    """
    found = []
    for extra in in_use(data.source, data.extra):
        try:
            base, layout = (None, None) if extra.layout in get_args(DRAWN_LAYOUTS) else _look(extra, data)
        except UserError as error:
            raise UserError(_name_key(str(error), data.extra.index(extra), extra)) from None
        found.append(Found(extra, base, layout and _as_one(layout, extra)))
    return found


def gather_extra(wanted: list[Found], data: Data, raw: Path, work: Path) -> None:
    """Brings each data set into a folder of its name in ``raw``, and writes EXTRA_TABLE and EXTRA_LEFT_OUT.

    ``wanted`` is what ``find_extra`` returns. Of a data set that comes divided and is only evaluated, the part for the
    test is brought. ``work`` is as for ``gather``. Raises UserError for a name that is not free.
    """
    if not wanted:
        return
    require_free_names([found.extra for found in wanted], main_names(data, raw))
    tables, rejected = [], []
    for extra, base, layout in wanted:
        if base is None or layout is None:
            base = raw / extra.name
            _draw(extra, data, base)
            layout = _as_one(kaggle.read(base), extra)
        frames, lost = bring(layout, base, raw, work, data)
        taken, videos = (frames["frame"] != VIDEO).sum(), (layout.table["frame"] == VIDEO).sum()
        print(f"{extra.name}: {taken} frames; {videos} videos read; {len(lost)} files rejected")
        tables.append(frames)
        rejected.append(lost.assign(dataset=extra.name))
    pd.concat(tables).to_csv(raw / EXTRA_TABLE, index=False, lineterminator="\n", columns=TABLE_COLUMNS)
    columns = ["dataset", *REJECTED_COLUMNS]
    pd.concat(rejected).to_csv(raw / EXTRA_LEFT_OUT, index=False, lineterminator="\n", columns=columns)


def _look(extra: Extra, data: Data) -> tuple[Path, Layout]:
    """The folder that the files of a data set are relative to, and what is there."""
    options = Options(compression=data.compression, trusted=True, one_class=extra.use == "adapt")
    folder = Path(extra.dir)
    if extra.use == "adapt" and extra.layout == "auto" and not detect.fits(folder):
        print(f"{extra.name}: pictures and videos without labels")
        return folder, unlabelled.read(folder, options)
    layout, why, found = detect.read(folder, extra.layout, options)
    print(f"{extra.name}: layout {layout}: {why}")
    for note in found.notes:
        print(note if note.startswith(f"{extra.name}: ") else f"{extra.name}: {note}")
    return manifest.base(folder), found


def _draw(extra: Extra, data: Data, folder: Path) -> None:
    from deepfake_detection.sources.drawn.drawing import CATEGORIES, generate
    from deepfake_detection.sources.drawn.shifted import generate_shifted

    drawn = data.embedded
    if extra.layout == "embedded":
        generate(folder, CATEGORIES, drawn.identities, drawn.frames, drawn.size, drawn.seed)
    else:
        # a third of the people: they are only evaluated
        generate_shifted(folder, CATEGORIES, max(2, drawn.identities // 6 * 2), min(3, drawn.frames), drawn.seed)


def _as_one(found: Layout, extra: Extra) -> Layout:
    """The rows of one data set under the name that the user gave it, those for the test alone if that is its use."""
    table, names = found.table, found.table["dataset"].unique()
    if len(names) > 1:
        if extra.name not in names:
            raise UserError(
                f"{extra.name}: {extra.dir} holds several data sets ({', '.join(sorted(names))}): name the one that is "
                "meant"
            )
        table = table[table["dataset"] == extra.name]
    if extra.use == "test" and (table["split"] == "test").any():
        divided, table = table, table[table["split"] == "test"]
        if left := len(divided) - len(table):
            print(f"{extra.name}: {left} of {len(divided)} files are not of its part for the test: left out")
        if table["label"].nunique() < 2:
            raise UserError(f"{extra.name}: its part for the test lacks one class: both are needed")
    if extra.use == "adapt":
        table = table.assign(label=-1, split="")
    return Layout(table.assign(dataset=extra.name), found.rejected)


def _name_key(message: str, number: int, extra: Extra) -> str:
    """What a layout says of the main data set's keys, said of those of a further one."""
    for key, own in (("local_dir", "dir"), ("layout", "layout")):
        message = message.replace(f"data.{key}", f"data.extra.{number}.{own}")
    if "no known layout" in message and extra.use != "adapt":
        message += f"; pictures without labels can be used with use: adapt only, not with use: {extra.use}"
    return f"{extra.name}: {message}"
