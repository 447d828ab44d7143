"""Brings one data set into a folder of its own: its files, and a table that says what each of them is.

``files/`` holds pictures under their own paths. Videos of a user stay where they are, and VIDEOS has their hashes; only
those that were downloaded come along. TABLE says what the files are, LEFT_OUT what cannot be used, and SOURCE where
they come from.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import sha256_of, write_csv, write_json
from deepfake_detection.common.progress import progress
from deepfake_detection.common.tables import AUTHORS, FILES, LEFT_OUT, SOURCE, TABLE, VIDEO, VIDEO_FRAMES, VIDEOS
from deepfake_detection.params.data_sections import NO_PATH, Dataset, Video
from deepfake_detection.sources.authors import CONVERSION, fetch_lists
from deepfake_detection.sources.layouts import detect, kaggle, unlabelled
from deepfake_detection.sources.layouts.table import Layout, Options

TABLE_COLUMNS = ["path", "dataset", "category", "label", "video_id", "source_id", "group", "unit", "frame", "split"]


def gather(name: str, dataset: Dataset, video: Video, to: Path, owned: Iterable[Path] = ()) -> None:
    """Fills the folder ``to`` with the data set called ``name``. Paths in its tables begin with that name.

    ``owned`` are the folders that the pipeline writes, in which no data set may lie. Links that lead out of a folder
    are followed if it is the user's own, and not if it was downloaded. Raises UserError, which names the parameter, as
    the layouts do.
    """
    (to / FILES).mkdir(parents=True)
    try:
        base, layout, origin = _look(name, dataset, to / FILES, owned)
        found = _wanted(name, dataset, layout)
        if dataset.lists == "authors":
            fetch_lists(to / AUTHORS)
        elif (base / CONVERSION).is_file():
            (to / AUTHORS).mkdir()
            shutil.copyfile(base / CONVERSION, to / AUTHORS / CONVERSION)
    except UserError as error:
        raise UserError(f"datasets.{name}: {error}") from None
    is_video = found.table["frame"] == VIDEO
    brought = found.table[~is_video] if dataset.folder else found.table
    if base != to / FILES:  # what is drawn is in place
        for file in progress(brought["file"].tolist(), "copying files", unit="file") if len(brought) else ():
            (to / FILES / file).parent.mkdir(parents=True, exist_ok=True)
            _copy(base / file, to / FILES / file)
    frames, below = pd.concat([found.table, found.lost]), f"{name}/{FILES}/"
    if dataset.folder and is_video.any():
        videos = found.table.loc[is_video, "file"]
        hashes = [_sha256(base / file) for file in progress(videos.tolist(), "reading videos", unit="video")]
        write_csv(to / VIDEOS, pd.DataFrame({"path": below + videos, "sha256": hashes}))
    frames = frames.assign(path=below + frames["file"]).sort_values("path", ignore_index=True)
    write_csv(to / TABLE, frames[TABLE_COLUMNS])
    rejected = found.rejected.assign(path=below + found.rejected["path"])
    write_csv(to / LEFT_OUT, rejected.sort_values(["path", "reason"], ignore_index=True))
    write_json(to / SOURCE, origin | ({VIDEO_FRAMES: video.frames} if is_video.any() else {}))
    print(f"{name}: {(~is_video).sum()} pictures; {is_video.sum()} videos; {len(rejected)} files rejected")


def _look(name: str, dataset: Dataset, files: Path, owned: Iterable[Path]) -> tuple[Path, Layout, dict[str, str | int]]:
    """The folder that the files are relative to, what is there, and where it comes from."""
    if dataset.is_drawn:
        _draw(dataset, files)
        return files, kaggle.read(files), {"source": "embedded", "layout": dataset.layout}
    origin: dict[str, str | int] = {"source": "local"}
    if local := dataset.path != NO_PATH:
        folder = Path(dataset.path)
        _require_outside(folder, owned)
    else:
        from deepfake_detection.sources.kaggle_download import download_kaggle  # slow to import

        folder, version = download_kaggle(dataset.kaggle)
        origin = {"source": "kaggle", "handle": dataset.kaggle, "version": version}
    labels = dict.fromkeys(dataset.real, 0) | dict.fromkeys(dataset.fake + dataset.unseen, 1)
    options = Options(
        categories=labels if dataset.real else None,
        compression=dataset.compression,
        trusted=local,
        one_class=dataset.use == "adapt",
        optional=frozenset(dataset.unseen),
    )
    if dataset.use == "adapt" and dataset.layout == detect.AUTO and not detect.fits(folder):
        print(f"{name}: pictures and videos without labels")
        return folder, unlabelled.read(folder, options), origin | {"layout": "unlabelled"}
    try:
        layout, why, found = detect.read(folder, dataset.layout, options)
    except UserError as error:
        hint = "; pictures without labels can be used with use: adapt" if "no known layout" in str(error) else ""
        raise UserError(f"{error}{hint}") from None
    print(f"{name}: layout {layout}: {why}")
    for note in found.notes:
        print(note if note.startswith(f"{name}: ") else f"{name}: {note}")
    return dataset.folder or folder, found, origin | {"layout": layout}


def _draw(dataset: Dataset, files: Path) -> None:
    from deepfake_detection.sources.drawn.drawing import CATEGORIES, EMBEDDED, generate
    from deepfake_detection.sources.drawn.shifted import SHIFTED

    drawn, style = dataset.drawn, SHIFTED if dataset.layout == "embedded_shifted" else EMBEDDED
    categories = [*dataset.real, *dataset.fake, *dataset.unseen] if dataset.real else CATEGORIES
    generate(files, categories, drawn.identities, drawn.frames, drawn.size, drawn.seed, style=style)


def _require_outside(folder: Path, owned: Iterable[Path]) -> None:
    place = folder.resolve()
    for other in owned:
        if place.is_relative_to(other.resolve()) or other.resolve().is_relative_to(place):
            raise UserError(
                f"path: {folder} and {other}/, where the pipeline removes and writes files, lie in each other: move "
                "your files to a folder of their own, outside of the project or beside src/"
            )


def _wanted(name: str, dataset: Dataset, found: Layout) -> Layout:
    """The rows of one data set under the user's name for it, those for the test alone if that is its use."""
    table, names = found.table, found.table["dataset"].unique()
    if len(names) > 1:
        if name not in names:
            raise UserError(
                f"{dataset.path} holds several data sets ({', '.join(sorted(names))}): call it as the one that is "
                "meant, or name each of them in datasets"
            )
        others, table = len(table), table[table["dataset"] == name]
        print(f"{name}: {others - len(table)} of {others} files are of other data sets: left out")
    if dataset.use == "test" and (table["split"] == "test").any():
        divided, table = table, table[table["split"] == "test"]
        if left := len(divided) - len(table):
            print(f"{name}: {left} of {len(divided)} files are not of its part for the test: left out")
        if table["label"].nunique() < 2:
            raise UserError("its part for the test lacks one class: both are needed")
    if dataset.use == "adapt":
        table = table.assign(label=-1, split="")
    return Layout(table.assign(dataset=name), found.rejected, lost=found.lost.assign(dataset=name))


def _sha256(video: Path) -> str:
    try:
        return sha256_of(video)
    except OSError:  # the stage index says why it cannot be read
        return ""


def _copy(path: Path, to: Path) -> None:
    """Copies a file. Its blocks are shared with the copy where the file system can (Btrfs, XFS)."""
    # A hard link would save the space, but its file would be the user's own: DVC's cache may take it in and make it
    # read-only.
    try:
        with path.open("rb") as source, to.open("wb") as target:
            while os.copy_file_range(source.fileno(), target.fileno(), 1 << 30):
                pass
    except (OSError, AttributeError):  # not Linux, or another file system than it can do
        shutil.copyfile(path, to)
