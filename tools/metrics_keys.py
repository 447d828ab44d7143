"""What each key of the metrics files means; docs/reference/metrics.md is written from this.

``<...>`` stands for any name, ``[]`` for each item of a list. Keys that several places share are a block, described
once. A key that ends in ``.*`` has a pair instead of its meaning: the name of the block that is there, and of what.
This is kept apart from the code that writes the files, so that a change of wording does not make DVC train again.
"""

from collections.abc import Mapping

Keys = Mapping[str, str | tuple[str, str]]

_METRICS = {
    "<metric>": "a metric, see the table above; null where it is undefined",
    "confusion_matrix.<cell>": "`tn`, `fp`, `fn` and `tp`: counts of decisions, positive for a deepfake",
    "undefined.<metric>": "why a metric is null",
}
_COVERAGE = {
    "coverage": "share that is like the training frames and gets a verdict, see `calibrate.familiarity`",
    "answered.<metric>": "accuracy, precision, recall, F1, AUROC, log loss and ECE of these alone, or null",
}
_INTERVALS = {
    "groups": "number of groups, or of target people where names tell them, that are drawn for the intervals",
    "intervals.<metric>": "95% interval [low, high] of a metric over groups, or null",
}
_MEANS = {
    "macro_auroc_seen": "mean AUROC of the manipulations trained on, each against all originals, over frames",
    "macro_auroc_unseen": "mean AUROC of the manipulations that were not trained on",
    "worst_category_auroc": "the lowest AUROC of all manipulations",
}
_THRESHOLD = "the calibrated probability from which on a frame is called fake"

BLOCKS: dict[str, Keys] = {
    "metrics": _METRICS | _COVERAGE | _INTERVALS,
    "category": {
        "seen": "whether the manipulation was trained on",
        "frames": "frames of the manipulation",
        "videos": "videos of the manipulation",
        **{
            f"frame.{key}": f"{text}; over its frames and all originals" for key, text in (_METRICS | _COVERAGE).items()
        },
        **{f"video.{key}": f"{text}; over its videos and all originals" for key, text in _METRICS.items()},
        **{key: f"{text}, for `frame`" for key, text in _INTERVALS.items()},
    },
    "data set": {
        "use": "`datasets.<name>.use`",
        "frames": "frames; of a data set that is trained on, those of the categories trained on",
        "videos": "videos that these frames belong to",
        "missing_videos": "videos without a usable frame: unreadable, or without a face if faces are cropped",
        "coverage": "share of the videos that have a usable frame",
        "frame.*": ("metrics", "of its frames"),
        "video.*": ("metrics", "of its videos"),
        "categories.<category>.*": ("category", "of each manipulation in it"),
    },
    "evaluation": {
        "*": ("metrics", "of the frames of the originals and of the manipulations trained on"),
        **_MEANS,
        "macro_auroc_datasets": "mean AUROC, over frames, of the data sets that were not trained on",
        "threshold": _THRESHOLD,
        "threshold_rule": "`calibrate.threshold`",
        "temperature": "a calibrated probability is sigmoid(logit / temperature + bias); fitted on validation frames",
        "bias": "see `temperature`",
        "prior": "`calibrate.prior`: the share of fakes for which probabilities are stated",
        "raw.<probability metric>": "log loss, Brier score and ECE of sigmoid(logit), without calibration",
        "video.*": ("metrics", "of their videos, each with the mean logit of its frames"),
        "video.threshold": "the calibrated probability from which on a video is called fake",
        "video.temperature": "as for frames, fitted on validation videos",
        "video.bias": "as for frames, fitted on validation videos",
        "categories.<category>.*": ("category", "of each manipulation"),
        "datasets.<dataset>.*": ("data set", "of each data set by itself"),
    },
    "worth": {
        "cllr": "the cost of deciding by the likelihood ratios; 1 is that of saying nothing; null without ratios",
        "cllr_min": "the least that any calibration of the same scores could cost, found with the labels",
        "calibration_loss": "`cllr` minus `cllr_min`",
        "false_alarms.<rate>": "share of originals called fake at the threshold in use, as the mean over groups, "
        "`rate`, and the upper end of its one-sided 95% interval over groups, `upper`; null without originals",
        "misleading_originals.<rate>": "share of originals whose ratio is above 1, likewise",
        "misleading_fakes.<rate>": "share of fakes whose ratio is below 1, likewise",
        "originals.<number>": "originals: frames or videos (`count`), and groups of people",
        "fakes.<number>": "fakes, likewise",
    },
    "evidence": {
        "seen.*": ("worth", "of the manipulations trained on, against the originals"),
        "unseen.*": ("worth", "of the other manipulations, against the same originals"),
        "manipulations.<category>.*": ("worth", "of each of these"),
        "datasets.<dataset>.*": ("worth", "of each data set, of one that is trained on without what is unseen"),
        "tippett[].log10": "a ratio, as power of ten",
        "tippett[].<kind>": "share of the originals, and of the fakes of `seen` and `unseen`, with at least this ratio",
        "cross_entropy[].prior": "prior odds of a fake, as power of ten",
        "cross_entropy[].<ratios>": "the empirical cross-entropy in bits, for who has this prior: `neutral` of saying "
        "nothing, and of the ratios of `seen` and `unseen`; with `_min` the least that any calibration could have",
    },
    "index": {
        "frames": "frames that can be used",
        "videos": "videos that they belong to; a video is counted once in each category",
        "rejected": "files that were rejected; data/rejected/ lists them with reasons",
        "rejected_share": "rejected files as a share of all files",
        "categories.<category>.frames": "usable frames of a category",
        "categories.<category>.videos": "videos of a category",
        "reasons.<reason>": "files rejected for a reason",
    },
    "split": {
        "strategy": "`split.strategy`; or `own`: the division that the data set comes with; or its use, if that is not "
        "`train`",
        "groups": "groups of videos: those that share a sequence or a recording, as target or source, are in one group",
        "leaked_groups": "groups with frames in two different splits; 0 unless the strategy leaks",
        "recordings_known": "whether the authors' list names the recording of every sequence; a sequence that it does "
        "not name counts as a recording of its own, as drawn ones are",
        "recordings": "recordings that the frames of train, val and test show, as target or source",
        "leaked_recordings": "recordings with frames in two different splits; the official lists have 7 of 977",
        "leaked_videos": "videos with frames in two different splits",
        "<split>.frames": "frames of train, val, test, or of `unused`: evaluated categories of sequences not in test",
        "<split>.videos": "videos of a split",
        "<split>.groups": "groups of a split",
        "<split>.categories.<category>.frames": "frames of a category in a split",
        "<split>.categories.<category>.videos": "videos of a category in a split",
        "<split>.categories.<category>.groups": "groups of a category in a split",
    },
}

_NUMBERS = {
    "<key metric>": "accuracy, precision, recall, F1, AUROC, log loss and ECE of the frames, see the table above",
    "threshold": _THRESHOLD,
    "coverage": "share of the frames that gets a verdict, see `calibrate.familiarity`",
    **_MEANS,
    "video.auroc": "AUROC of the videos, each with the mean logit of its frames",
    "video.accuracy": "accuracy of the videos, at their own threshold",
}

# file -> (stage, subject, keys)
FILES: dict[str, tuple[str, str, Keys]] = {
    "index.json": (
        "split",
        "Which frames can be used and which cannot.",
        {"datasets.<dataset>.*": ("index", "of each data set")},
    ),
    "split.json": (
        "split",
        "How the frames are split, and what leaks between splits.",
        {
            "*": ("split", "of the data sets trained on, together"),
            "datasets.<dataset>.*": ("split", "of each data set"),
            "datasets.<dataset>.use": "`datasets.<name>.use`",
            "shared.groups": "groups that are in several data sets, by ids or by frames that look the same",
            "shared.leaked_groups": "those of them with frames in two different splits",
            "shared.left_out.<name>": "frames of a data set left out of its test, because their people are trained on",
            "shared.known.weights": "groups of the test that the starting weights were trained on, by their sidecar",
            "shared.known.teacher": "groups of the test that the teacher was trained on, by its sidecar",
            "leak_audit.near_duplicates": "pairs of frames in two different splits that look nearly the same",
            "leak_audit.hash": "the perceptual hash used to compare them",
            "leak_audit.max_distance": "largest number of bits in which the hashes of a pair may differ",
            "leak_audit.pairs[].distance": "number of bits that differ; only the 50 closest pairs are listed",
            "leak_audit.pairs[].paths": "the two frames, relative to data/raw",
            "leak_audit.pairs[].splits": "their splits",
        },
    ),
    "pretrain/<method>.json": (
        "pretrain",
        "The training of the backbone without labels.",
        {
            "method": "the key in `pretrain`",
            "loss": "mean loss of the last epoch: minus the cosine of two views of a video, so -1 is the least",
            "spread": "how different frames are for the backbone: 1 is as different as can be, near 0 it has collapsed",
            "videos": "videos that were trained on",
            "steps": "steps of the optimiser",
        },
    ),
    "train.json": (
        "train",
        "The epoch that was kept.",
        {
            "best_epoch": "the epoch that is kept, counted from 0: the one with the best `train.monitor`",
            "train_<curve>": "loss, accuracy or AUROC of the training frames in that epoch, augmented and with "
            "dropout; the loss is that of smoothed labels if `train.label_smoothing` is set",
            "val_<curve>": "loss, accuracy or AUROC of the validation frames after that epoch",
            "epochs_run": "epochs that were trained",
            "early_stopped": "whether training stopped before `train.epochs`",
            "batch_size": "frames per optimiser step; only with `train.batch_size: auto`",
        },
    ),
    "test.json": (
        "evaluate",
        "The test frames in the numbers that people compare. They cover the originals and the manipulations trained "
        "on; `details.json` has all others, and the intervals.",
        _NUMBERS | {"datasets.<dataset>.auroc": "AUROC of the frames of a data set"},
    ),
    "val.json": (
        "evaluate",
        "The validation frames, in the numbers by which experiments are chosen. The calibration and the threshold were "
        "fitted on the same frames; `details.json` has the others under `val`.",
        {
            "<key metric>": "accuracy, AUROC, log loss and ECE of the frames, see the table above",
            "video.auroc": _NUMBERS["video.auroc"],
        },
    ),
    "details.json": (
        "evaluate",
        "Everything that was measured.",
        {
            "*": ("evaluation", "of the test frames"),
            "evidence.frame.*": ("evidence", "of the test frames"),
            "evidence.video.*": ("evidence", "of the test videos, by their learnt score"),
            "evidence.conditions[].name": "a condition of the test: size of the face, or of the frame; the frames are "
            "of the originals and of the manipulations trained on; robustness/conditions.csv has further conditions",
            "evidence.conditions[].low": "the least value of the band, in pixels of the file",
            "evidence.conditions[].high": "the value below which the band ends, or null",
            "evidence.conditions[].frames": "frames in the band",
            "evidence.conditions[].groups": "groups of people of the originals in it",
            "evidence.conditions[].auroc": "their AUROC, or null",
            "evidence.conditions[].cllr": "their Cllr, see the block worth",
            "evidence.conditions[].false_alarms": "share of the originals that are called fake, or null",
            "evidence.conditions[].upper": "the upper end of its one-sided 95% interval over groups, or null",
            "val.*": ("evaluation", "of the validation frames"),
        },
    ),
    "classification_report.json": (
        "evaluate",
        "The test frames, by class.",
        {  # the keys are scikit-learn's
            "<class>.precision": "share of the frames called this class that belong to it",
            "<class>.recall": "share of the frames of this class that are called so",
            "<class>.f1-score": "harmonic mean of precision and recall",
            "<class>.support": "frames of the class; `macro avg` and `weighted avg` are means over the classes",
            "accuracy": "share of correct calls",
        },
    ),
    "adapt/<method>.json": (
        "adapt",
        "The data sets to test on, before and after the batch-norm statistics of frames without labels.",
        {
            "method": "the entry of `adapt`",
            "transductive": "always true: the scores depend on the frames that the network was adapted to",
            "adapted_to": "frames without labels whose statistics were taken",
            "data_sets.<name>.frames": "frames scored",
            "data_sets.<name>.groups": "identity groups of these",
            "data_sets.<name>.videos_left_out": "videos not scored, because one of their frames was adapted to",
            "data_sets.<name>.metrics.<metric>.first": "the metric before",
            "data_sets.<name>.metrics.<metric>.second": "the metric after",
            "data_sets.<name>.metrics.<metric>.difference": "after minus before",
            "data_sets.<name>.metrics.<metric>.interval": "its paired 95% interval over identity groups",
            "data_sets.<name>.metrics.<metric>.p": "its two-sided p value",
            "data_sets.<name>.metrics.<metric>.p_holm": "the same, because one method is compared",
        },
    ),
    "robustness.json": (
        "robustness",
        "The test frames under eight corruptions. `robustness/intervals.csv` has the 95% intervals of the three AUROCs "
        "over groups and the number of frames and groups, `robustness/robustness.csv` has AUROC, accuracy, log loss, "
        "coverage and the accuracy of the verdicts for each corruption at each severity, 1 (mild) to 5 (severe), with "
        "its setting and the unit of that.",
        {
            "clean_auroc": "AUROC of the test frames, or of `robustness.max_frames` of them, without corruption",
            "mean_auroc": "mean AUROC over all corruptions and severities",
            "mean_auroc_drop": "`clean_auroc` minus `mean_auroc`",
            "clean_coverage": "share of these frames that get a verdict, see `calibrate.familiarity`",
            "clean_answered_accuracy": "accuracy of these verdicts, or null",
        },
    ),
}


def every_key(keys: Keys) -> dict[str, str]:
    """The keys with those of their blocks, and their meanings."""
    found: dict[str, str] = {}
    for key, meaning in keys.items():
        if isinstance(meaning, str):
            found[key] = meaning
        else:
            block, of = meaning
            found |= {key.removesuffix("*") + each: f"{text}; {of}" for each, text in every_key(BLOCKS[block]).items()}
    return found
