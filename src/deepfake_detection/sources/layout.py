"""The paths in data/raw, and the names of the splits.

Drawn frames and the Kaggle data set lie in FRAMES, and the names of their files say all. Other data sets lie in a
folder called as the data set, and TABLE says what each file is.
"""

DATASET = "FaceForensics++"  # of the frames in FRAMES, unless they are drawn
DRAWN = "embedded"
FRAMES = "FF++C32-Frames"  # FRAMES/<Category>/005_f4.jpg or 005_010_f4.jpg (target_source)
LISTS = "CSVs"  # LISTS/<Category>.csv with columns filename, label
OFFICIAL = "splits"  # OFFICIAL/{train,val,test}.json: the authors' lists, if the split strategy needs them
RECORDINGS = "recordings.json"  # {"331": "R03Sko97IDE"}: the recording of each id; {} if they are unknown
TABLE = "frames.csv"  # a row for each frame of another data set: the columns of layouts/table.py
LEFT_OUT = "rejected.csv"  # path, category, reason of what such a data set holds and cannot be used
EXTRA_TABLE = "extra.csv"  # as TABLE, for the data sets of data.extra
EXTRA_LEFT_OUT = "extra_rejected.csv"  # as LEFT_OUT, with the column dataset
VIDEO = -1  # the frame of a video: one whose frames are still to be taken, or in TABLE one of which none could be
SPLITS = ("train", "val", "test")
ADAPT = "adapt"  # the split of a frame that is there without a label
UNUSED = "unused"  # the split of a frame that is never trained on and is not in test either
