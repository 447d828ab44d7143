"""The paths in data/raw (the layout of the Kaggle data set), and the names of the splits."""

FRAMES = "FF++C32-Frames"  # FRAMES/<Category>/005_f4.jpg or 005_010_f4.jpg (target_source)
LISTS = "CSVs"  # LISTS/<Category>.csv with columns filename, label
OFFICIAL = "splits"  # OFFICIAL/{train,val,test}.json: the authors' lists, if the split strategy needs them
RECORDINGS = "recordings.json"  # {"331": "R03Sko97IDE"}: the recording of each id; {} if they are unknown
SPLITS = ("train", "val", "test")
UNUSED = "unused"  # the split of a frame that is never trained on and is not in test either
