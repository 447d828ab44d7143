"""`deepfake-detect report`: write.py examines files one by one and writes what came out, as JSON (record.py) and
as HTML (render.py), with their sums and a signature (seal.py). The words are serving.words's, the pictures
serving.view's. It is an examiner's record of what was judged, with what and how."""
