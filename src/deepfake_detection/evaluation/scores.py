"""Scores that any detector gave to frames or videos: read from a CSV, and joined to the index.

docs/guides/compare-detectors.md says what the CSV looks like.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple
from unicodedata import normalize

import numpy as np
import pandas as pd
from scipy.special import logit

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import MISSING_COLUMNS, VIDEO_KEY, read_index, read_missing, read_splits
from deepfake_detection.common.text import one_line, printable
from deepfake_detection.evaluation.compare import opened
from deepfake_detection.network.sidecar import Calibration, Sidecar
from deepfake_detection.sources.layouts.names import LABELS

Key = Literal["path", "video"]
Kind = Literal["probability", "logit", "order"]

SCORES = ("score", "real_score", "probability", "logit")  # the columns that may hold the score: the first that is there
SAID = ("label", "dataset", "category", "group", "video")  # what a file may say besides
OWN = "own"  # the data set of files that name none
TAKEN: dict[Kind, str] = {
    "probability": "probabilities",
    "logit": "logits",
    "order": "an order, neither probabilities nor logits",
}
SURE = float(np.finfo(np.float64).eps)  # log odds are of probabilities at least this far from 0 and from 1
LARGEST = 30.0  # logits beyond it have probabilities that cannot be told from 0 and 1, so their order would be lost


class Scores(NamedTuple):
    """What the file of a detector says.

    ``table`` has a row for each that the file names: ``key`` (what ``by`` says), ``logit``, ``probability``, both of a
    fake and NaN without a score, ``status``, which is "" with a score and otherwise why there is none, and those of
    SAID that the file has. ``frame`` and ``video`` are its calibrations. ``taken`` says how the scores were understood.
    Of the ``kind`` order, scores say what is more likely a fake, and nothing else.
    """

    table: pd.DataFrame
    by: Key
    kind: Kind
    frame: Calibration
    video: Calibration
    prior: float
    taken: str


class Known(NamedTuple):
    """What there is to score: ``frames`` of all splits, and ``missing`` videos, of which no frame can be used.

    ``frames`` has path, dataset, category, label, video_id, source_id, group and split. ``missing`` has
    MISSING_COLUMNS. Paths are relative to ``folder``.
    """

    frames: pd.DataFrame
    missing: pd.DataFrame
    folder: Path | None = None


def read_detector(
    name: str, kind: Kind | None = None, real_is_high: bool = False, sidecar: Sidecar | None = None
) -> Scores:
    """Reads the scores in a CSV file, or in data/predictions.csv of a git revision or DVC experiment.

    ``kind`` says what the scores are. Without it, scores that all lie from 0 to 1 are probabilities. Others are logits
    if some are below 0 and some above, and none is farther from it than LARGEST. All others tell no more than an order.
    ``real_is_high`` says that a high score means a real picture, as a column ``real_score`` does. The probability of a
    logit is its sigmoid, or with ``sidecar`` what its calibrations say.

    Raises UserError as ``opened`` does, for a file that lacks a column, for a score that is not a number though the
    status is ok, and for scores that are not of ``kind``.
    """
    table = _read(name)
    by: Key = "path" if "path" in table else "video"
    if by not in table:
        raise UserError(
            f"{name} has neither a column path nor a column video: its columns are {', '.join(table.columns)}"
        )
    if sidecar and kind not in (None, "logit"):
        raise UserError(f"{name}: a sidecar calibrates logits, and the scores are said to be of the kind {kind}")
    column = _column(name, table, "logit" if sidecar else kind)
    values, status = _values(name, table, column)
    kind = "logit" if sidecar else kind or _kind_of(values)
    if kind == "probability" and not values.dropna().between(0, 1).all():
        raise UserError(f"{name}: {column} reaches from {values.min():g} to {values.max():g}: not probabilities")
    turned = real_is_high != (column == "real_score")
    frame, video = (sidecar.frame, sidecar.video) if sidecar else (Calibration(), Calibration())
    if kind == "probability":
        probabilities = 1 - values if turned else values
        logits = pd.Series(logit(probabilities.clip(SURE, 1 - SURE)), index=values.index)
    else:
        logits = -values if turned else values
        probabilities = probability_of(logits, kind, frame if by == "path" else video)
    kept = {each: table[each].replace("", np.nan) for each in SAID if each in table}
    if "label" in kept:
        kept["label"] = kept["label"].map(lambda text: _label(name, text), na_action="ignore").astype(float)
    key = _composed(_names(table) if by == "video" else table["path"])
    found = {"key": key, "logit": logits, "probability": probabilities, "status": status.map(printable)}
    taken = f"{values.count()} scores by {by}, {column} from {values.min():.4g} to {values.max():.4g}: "
    taken += f"taken as {TAKEN[kind]}{', high for a real one' if turned else ''}"
    taken += ", read by the calibration of a sidecar" if sidecar else ""
    return Scores(pd.DataFrame(found | kept), by, kind, frame, video, sidecar.prior if sidecar else 0.5, taken)


def _column(name: str, table: pd.DataFrame, kind: Kind | None) -> str:
    """The column of the score: the first of SCORES that holds anything, or the logits if these are asked for."""
    order = sorted(SCORES, key=lambda column: column != kind) if kind == "logit" else SCORES
    there = [column for column in order if column in table]
    if not there:
        raise UserError(f"{name} has no column score: its columns are {', '.join(table.columns)}")
    for column in there:
        if (table[column] != "").any():
            return column
    raise UserError(f"{name} has no score: {there[0]} is empty in every row")


def _values(name: str, table: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    """The score of each row, NaN for none, and why there is none, "" with a score.

    ``status`` says it, or ``reason`` where the score is empty, as the CSV of deepfake-detect has it.
    """
    if "status" in table:
        status = table["status"].str.strip()
        status = status.mask(status.str.lower() == "ok", "")
    elif "reason" in table:
        status = table["reason"].where(table[column] == "", "")
    else:
        status = pd.Series("", index=table.index)
    values = pd.to_numeric(table[column], errors="coerce").where(status == "").astype(float)
    if (wrong := ~np.isfinite(values) & (status == "")).any():
        row = int(np.flatnonzero(wrong)[0])
        raise UserError(
            f"{name}, row {row + 2}: {column} {table[column].iloc[row]!r} is not a number; "
            "what has no score needs a status other than ok"
        )
    if values.isna().all():
        raise UserError(f"{name} has no score: no row has the status ok")
    return values, status


def _kind_of(values: pd.Series) -> Kind:
    if values.dropna().between(0, 1).all():
        return "probability"
    return "logit" if -LARGEST <= values.min() < 0 < values.max() <= LARGEST else "order"


def probability_of(logits: pd.Series, kind: Kind, calibration: Calibration) -> pd.Series:
    """Calibrated probabilities; of the kind order, numbers from 0 to 1 of the same order. NaN stays."""
    if kind == "order":
        return logits.rank(method="dense") / (logits.nunique() + 1)
    probabilities: pd.Series = calibration.probability(logits)
    return probabilities


def _read(name: str) -> pd.DataFrame:
    with opened(name) as (source, path):
        try:
            table = pd.read_csv(source, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
        except ValueError as error:
            raise UserError(f"{path} is not a CSV file ({one_line(error)})") from None
    return table.rename(columns=lambda column: printable(str(column).strip().lower()))


def _label(name: str, text: str) -> int:
    label = LABELS.get(text.strip().lower().removesuffix(".0"))
    if label is None:
        raise UserError(f"{name}: label {printable(text)!r} is not known: write 0 or real, 1 or fake")
    return label


def _names(table: pd.DataFrame) -> pd.Series:
    """The name of each video, with the data set and the category before it where the file has columns of these."""
    if "category" not in table:
        return table["video"]
    before = table.get("dataset", OWN) + "/" + table["category"] + "/"
    names = [
        name if name.startswith(start) else start + name for name, start in zip(table["video"], before, strict=True)
    ]
    return pd.Series(names, index=table.index)


def _composed(names: pd.Series) -> pd.Series:
    """Names as most systems write them: é may also be an e with an accent behind it, and looks the same."""
    return names.map(lambda name: normalize("NFC", name))


def read_known(index: Path) -> Known:
    """What an index file names, with the splits and missing videos that lie beside it.

    Without ``splits.csv`` beside it, ``split`` is "" for all. Raises UserError as the readers in common.tables do.
    """
    frames, splits = read_index(index), index.with_name("splits.csv")
    if splits.is_file():
        frames = frames.merge(read_splits(splits)[["path", "split"]], on="path")
    else:
        frames = frames.assign(split="")
    tables = [read_missing(path) for path in sorted((index.parent / "missing").glob("*.csv"))]
    missing = pd.concat([pd.DataFrame(columns=MISSING_COLUMNS), *tables], ignore_index=True)
    return Known(frames.assign(path=_composed(frames["path"])), missing, index.with_name("raw"))


def known_by(detectors: Mapping[str, Scores]) -> Known:
    """What the files themselves say of what they score, for use without an index.

    A file of paths may name the video of each; otherwise each path is a video of its own. A file that names videos only
    gives them one frame each. Without ``dataset``, it is OWN; without ``category``, real or fake; without ``group``, a
    video is a group.

    Raises UserError for what no file labels, and where two rows contradict each other.
    """
    tables = [scores.table.assign(by=scores.by, file=name) for name, scores in detectors.items()]
    rows = pd.concat(tables, ignore_index=True)
    rows = rows.assign(**{column: np.nan for column in SAID if column not in rows})
    rows = rows.astype({column: object for column in SAID if column != "label"})
    each = rows.groupby("key")
    for column in SAID:
        if (several := each[column].nunique() > 1).any():
            key = several.idxmax()
            two = rows[(rows["key"] == key) & rows[column].notna()].drop_duplicates(column).iloc[:2]
            said = two["file"], two[column].astype(str).str.removesuffix(".0")
            words = " and ".join(f"{value} in {file}" for file, value in zip(*said, strict=True))
            raise UserError(f"{key} has two values in the column {column}: {words}")
    found = each[[*SAID, "by"]].first().reset_index()
    if (unlabelled := found["label"].isna()).any():
        raise UserError(
            f"{unlabelled.sum()} of {len(found)} rows have no label, for example "
            f"{found.loc[unlabelled, 'key'].iloc[0]}: add a column label, or name an index with --index"
        )
    frames = pd.DataFrame(
        {
            "path": found["key"],
            "dataset": found["dataset"].fillna(OWN),
            "category": found["category"].fillna(found["label"].map({0: "real", 1: "fake"})),
            "label": found["label"].astype(int),
            "video_id": _composed(found["video"].fillna(found["key"])),
            "source_id": "",
            "split": "",
        }
    )
    frames["group"] = found["group"].fillna(frames["dataset"] + "/" + frames["video_id"])
    # a video that one file names by itself, and of which another has frames, is there already
    framed = frames[found["by"] == "path"]
    there = video_names(frames).isin(video_names(framed))
    there |= found["category"].isna() & frames["video_id"].isin(framed["video_id"])
    return Known(frames[(found["by"] == "path") | ~there].reset_index(drop=True), pd.DataFrame(columns=MISSING_COLUMNS))


def video_names(videos: pd.DataFrame) -> pd.Series:
    """The whole name of each row's video, ``dataset/category/video_id`` and for some ``/source_id``."""
    source = ("/" + videos["source_id"]).where(videos["source_id"] != "", "")
    return _composed(videos["dataset"] + "/" + videos["category"] + "/" + videos["video_id"] + source)


def _aliases(videos: pd.DataFrame) -> pd.Series:
    """By every name that a video may have, its whole name; those that several videos have, are there several times."""
    whole, source = video_names(videos), videos["source_id"]
    pair = (videos["video_id"] + "_" + source).where(source != "", videos["video_id"])
    place = videos["dataset"] + "/" + videos["category"] + "/"
    forms = (whole, place + videos["video_id"], place + pair, videos["video_id"], pair)
    found = pd.concat([pd.Series(whole.to_numpy(), index=_composed(form)) for form in forms])
    return found[~pd.DataFrame({"name": found.index, "video": found.to_numpy()}).duplicated().to_numpy()]


def joined(name: str, scores: Scores, known: Known) -> pd.DataFrame:
    """The scores of what is known, indexed by path or by whole name of the video: logit, probability, status.

    Raises UserError for what is not known, for a name that several videos have, for two scores of one, and for a label
    that contradicts the one known.
    """
    table, frames = scores.table, known.frames
    if scores.by == "path":
        labels = frames.set_index("path")["label"]
        for folder in (known.folder, known.folder.absolute()) if known.folder else ():
            table = table.assign(key=table["key"].str.removeprefix(f"{folder.as_posix()}/"))
        unknown = ~table["key"].isin(labels.index)
    else:
        columns = [*VIDEO_KEY, "label"]
        videos = pd.concat([frames[columns], known.missing[columns]]).drop_duplicates(VIDEO_KEY)
        whole = _aliases(videos)
        labels = pd.Series(videos["label"].to_numpy(), index=video_names(videos))
        several = table["key"].isin(whole.index[whole.index.duplicated()])
        if several.any():
            key = table.loc[several, "key"].iloc[0]
            raise UserError(
                f"{name}: {printable(key)} names several videos, for example {' and '.join(whole[key].iloc[:2])}: "
                "write dataset/category/video_id/source_id"
            )
        unknown = ~table["key"].isin(whole.index)
        table = table.assign(key=table["key"].map(whole[~whole.index.duplicated()]))
    if unknown.any():
        raise UserError(
            f"{name}: {unknown.sum()} of {len(table)} rows name what the index does not have, for example "
            f"{printable(scores.table.loc[unknown, 'key'].iloc[0])}; there, one is called {labels.index[0]}; "
            "--index none takes what the files say themselves"
        )
    said = table.get("label", pd.Series(np.nan, index=table.index))
    if (wrong := said.notna() & (said != table["key"].map(labels))).any():
        key = table.loc[wrong, "key"].iloc[0]
        raise UserError(
            f"{name}: {wrong.sum()} labels contradict the index, e.g. that of {key}, which has {labels[key]} there"
        )
    # a row without a score says nothing if another row has one
    table = table.sort_values("status", kind="stable")[["key", "logit", "probability", "status"]].drop_duplicates()
    scored = table[table["status"] == ""]
    if (twice := scored["key"].duplicated()).any():
        raise UserError(f"{name}: {scored.loc[twice, 'key'].iloc[0]} has two different scores")
    return table.drop_duplicates("key").set_index("key")
