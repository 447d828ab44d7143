"""What each key of the metrics files means; docs/reference/metrics.md is written from this.

``<...>`` stands for any name, ``[]`` for each item of a list. It is kept apart from the code that writes the files,
so that a change of wording here does not make DVC train again.
"""

_INDEX = {
    "frames": "frames that can be used",
    "videos": "videos that they belong to; a video is counted once in each category",
    "rejected": "files that were rejected; data/rejected.csv lists them with reasons",
    "rejected_share": "rejected files as a share of all files",
    "categories.<category>.frames": "usable frames of a category",
    "categories.<category>.videos": "videos of a category",
    "reasons.<reason>": "files rejected for a reason",
}

INDEX = {
    **_INDEX,
    **{f"datasets.<dataset>.{key}": f"{text}; of a data set of `data.extra`" for key, text in _INDEX.items()},
}

_SPLIT = {
    "strategy": "`split.strategy`, or `own`: the division that the data set comes with",
    "groups": "groups of videos: those that share a sequence or a recording, as target or source, are in one group",
    "leaked_groups": "groups with frames in two different splits; 0 unless the strategy leaks",
    "recordings_known": "whether `data/raw/recordings.json` names the recording of every sequence; a sequence "
    "that it does not name counts as a recording of its own, as drawn ones are",
    "recordings": "recordings that the frames of train, val and test show, as target or source",
    "leaked_recordings": "recordings with frames in two different splits; the official lists have 7 of 977",
    "leaked_videos": "videos with frames in two different splits",
    "<split>.frames": "frames of train, val, test, or of `unused`: evaluated categories of sequences not in test",
    "<split>.videos": "videos of a split",
    "<split>.groups": "groups of a split",
    "<split>.categories.<category>.frames": "frames of a category in a split",
    "<split>.categories.<category>.videos": "videos of a category in a split",
    "<split>.categories.<category>.groups": "groups of a category in a split",
}

SPLIT = {
    **_SPLIT,
    "datasets.<dataset>.use": "`use` of a data set of `data.extra`",
    **{f"datasets.<dataset>.{key}": f"{text}; of a data set of `data.extra`" for key, text in _SPLIT.items()},
    "datasets.<dataset>.strategy": "as above; or what it is used for, `test` or `adapt`, if it is not divided",
}

LEAK_AUDIT = {
    "near_duplicates": "pairs of frames in two different splits that look nearly the same",
    "hash": "the perceptual hash used to compare them",
    "max_distance": "largest number of bits in which the hashes of a pair may differ",
    "pairs[].distance": "number of bits in which the hashes differ; only the 50 closest pairs are listed",
    "pairs[].paths": "the two frames, relative to data/raw",
    "pairs[].splits": "their splits",
}

TRAIN = {
    "best_epoch": "the epoch that is kept, counted from 0: the one with the best `train.monitor`",
    "train_<curve>": "loss, accuracy or AUROC of the training frames in that epoch, augmented and with dropout; the "
    "loss is that of smoothed labels if `train.label_smoothing` is set",
    "val_<curve>": "loss, accuracy or AUROC of the validation frames after that epoch",
    "epochs_run": "epochs that were trained",
    "early_stopped": "whether training stopped before `train.epochs`",
    "batch_size": "frames per optimiser step; only with `train.batch_size: auto`",
}

BLOCK = {
    "<metric>": "a metric, see the table above; null where it is undefined",
    "confusion_matrix.<cell>": "`tn`, `fp`, `fn` and `tp`: counts of decisions, positive for a deepfake",
    "undefined.<metric>": "why a metric is null",
}
ANSWERED = {
    "coverage": "share that is like the training frames and gets a verdict, see `calibrate.familiarity`",
    "answered.<metric>": "accuracy, precision, recall, F1, AUROC, log loss and ECE of these alone, or null",
}
INTERVALS = {
    **ANSWERED,
    "groups": "number of groups behind the intervals",
    "intervals.<metric>": "95% interval [low, high] of a metric over groups, or null",
}
CATEGORY = "categories.<category>."
_CATEGORIES = {
    f"{CATEGORY}seen": "whether the manipulation was trained on",
    f"{CATEGORY}frames": "frames of the manipulation",
    f"{CATEGORY}videos": "videos of the manipulation",
    **{f"{CATEGORY}frame.{key}": f"{text}, over its frames and all originals" for key, text in BLOCK.items()},
    **{f"{CATEGORY}video.{key}": f"{text}, over its videos and all originals" for key, text in BLOCK.items()},
    **{f"{CATEGORY}frame.{key}": f"{text}, over its frames and all originals" for key, text in ANSWERED.items()},
    **{f"{CATEGORY}{key}": f"{text}, for `frame`" for key, text in INTERVALS.items() if key not in ANSWERED},
}
DATASET = "datasets.<dataset>."
TEST = {  # of metrics/test.json and metrics/val.json
    **BLOCK,
    **INTERVALS,
    "macro_auroc_seen": "mean AUROC of the manipulations trained on, each against all originals, over frames",
    "macro_auroc_unseen": "mean AUROC of the manipulations that were not trained on",
    "worst_category_auroc": "the lowest AUROC of all manipulations",
    "macro_auroc_datasets": "mean AUROC, over frames, of the data sets that were not trained on",
    "threshold": "the calibrated probability from which on a frame is called fake",
    "threshold_rule": "`calibrate.threshold`",
    "temperature": "a calibrated probability is sigmoid(logit / temperature + bias); fitted on validation frames",
    "bias": "see `temperature`",
    "prior": "`calibrate.prior`: the share of fakes for which probabilities are stated",
    "raw.<probability metric>": "log loss, Brier score and ECE of sigmoid(logit), without calibration",
    **{f"video.{key}": f"{text}, over videos, each with the mean logit of its frames" for key, text in BLOCK.items()},
    **{f"video.{key}": f"{text}, over videos" for key, text in INTERVALS.items()},
    "video.threshold": "the calibrated probability from which on a video is called fake",
    "video.temperature": "as for frames, fitted on validation videos",
    "video.bias": "as for frames, fitted on validation videos",
    **_CATEGORIES,
    f"{DATASET}use": "`train` for the main data set and those of `data.extra` that are trained on; `test` for one that "
    "is only evaluated",
    f"{DATASET}frames": "frames; of a data set that is trained on, those of the categories trained on",
    f"{DATASET}videos": "videos that these frames belong to",
    f"{DATASET}missing_videos": "videos without a usable frame: unreadable, or without a face if faces are cropped",
    f"{DATASET}coverage": "share of the videos that have a usable frame",
    **{
        f"{DATASET}frame.{key}": f"{text}, over the frames of the data set" for key, text in (BLOCK | INTERVALS).items()
    },
    **{
        f"{DATASET}video.{key}": f"{text}, over the videos of the data set" for key, text in (BLOCK | INTERVALS).items()
    },
    **{f"{DATASET}{key}": f"{text}, of the data set" for key, text in _CATEGORIES.items()},
}
CLASSIFICATION_REPORT = {  # the keys are scikit-learn's
    "<class>.precision": "share of the frames called this class that belong to it",
    "<class>.recall": "share of the frames of this class that are called so",
    "<class>.f1-score": "harmonic mean of precision and recall",
    "<class>.support": "frames of the class; `macro avg` and `weighted avg` are means over the classes",
    "accuracy": "share of correct calls",
}

ROBUSTNESS = {
    "frames": "test frames that were corrupted",
    "clean_auroc": "AUROC of these frames without corruption",
    "mean_auroc": "mean AUROC over all corruptions and severities",
    "mean_auroc_drop": "`clean_auroc` minus `mean_auroc`",
    "clean_coverage": "share of these frames that get a verdict, see `calibrate.familiarity`",
    "clean_answered_accuracy": "accuracy of these verdicts, or null",
    "groups": INTERVALS["groups"],
    "intervals.<AUROC>": "95% interval [low, high] of one of these three over groups, or null",
    "corruptions.<corruption>.unit": "what the setting measures",
    "corruptions.<corruption>.severities[].severity": "1 (mild) to 5 (severe)",
    "corruptions.<corruption>.severities[].setting": "the setting, in the unit",
    "corruptions.<corruption>.severities[].auroc": "AUROC under the corruption",
    "corruptions.<corruption>.severities[].accuracy": "accuracy of calibrated probabilities at the sidecar's threshold",
    "corruptions.<corruption>.severities[].log_loss": "log loss of calibrated probabilities",
    "corruptions.<corruption>.severities[].coverage": "share of the frames that get a verdict",
    "corruptions.<corruption>.severities[].answered_accuracy": "accuracy of these verdicts, or null",
}

# file -> (stage, subject, keys)
PRETRAIN = {
    "method": "The key in `pretrain`.",
    "loss": "Mean loss of the last epoch: minus the cosine of two views of a video, so -1 is the least.",
    "spread": "How different frames are for the backbone: 1 is as different as can be, near 0 it has collapsed.",
    "videos": "Videos that were trained on.",
    "steps": "Steps of the optimiser.",
}
ADAPT = {
    "method": "The entry of `adapt`.",
    "transductive": "Always true: the scores depend on the frames that the network was adapted to.",
    "adapted_to": "Frames without labels whose statistics were taken.",
    "data_sets.<name>.frames": "Frames scored.",
    "data_sets.<name>.groups": "Identity groups of these.",
    "data_sets.<name>.videos_left_out": "Videos not scored, because one of their frames was adapted to.",
    "data_sets.<name>.metrics.<metric>.first": "The metric before.",
    "data_sets.<name>.metrics.<metric>.second": "The metric after.",
    "data_sets.<name>.metrics.<metric>.difference": "After minus before.",
    "data_sets.<name>.metrics.<metric>.interval": "Its paired 95% interval over identity groups.",
    "data_sets.<name>.metrics.<metric>.p": "Its two-sided p value.",
    "data_sets.<name>.metrics.<metric>.p_holm": "The same, because one method is compared.",
}

FILES = {
    "index.json": ("index", "Which frames can be used and which cannot.", INDEX),
    "split.json": (
        "split",
        "How the frames are split, and what leaks between splits.",
        SPLIT | {f"leak_audit.{key}": text for key, text in LEAK_AUDIT.items()},
    ),
    "pretrain/<method>.json": (
        "pretrain",
        "The training of the backbone without labels.",
        PRETRAIN,
    ),
    "train.json": ("train", "The epoch that was kept.", TRAIN),
    "test.json": (
        "evaluate",
        "The test frames. The keys at the top level cover the originals and the manipulations trained on.",
        TEST,
    ),
    "val.json": (
        "evaluate",
        "The validation frames, with the keys of `test.json`. Choose experiments on these, not on the test frames. The "
        "calibration and the threshold were fitted on the same frames.",
        TEST,
    ),
    "classification_report.json": ("evaluate", "The test frames, by class.", CLASSIFICATION_REPORT),
    "adapt/<method>.json": (
        "adapt",
        "The data sets to test on, before and after the batch-norm statistics of frames without labels.",
        ADAPT,
    ),
    "robustness.json": ("robustness", "The test frames under eight corruptions.", ROBUSTNESS),
}
