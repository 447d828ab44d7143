"""What papers report for detectors trained on FaceForensics++ (c23) and tested on other data sets. Not measured here.

A frame's AUC lies 5 to 10 points below a video's, so only numbers of one level compare.
"""

from typing import NamedTuple


class Reported(NamedTuple):
    """An AUC that others report. ``level`` is what was scored: frames or videos."""

    data_set: str
    level: str
    method: str
    auroc: float
    source: str


_BENCHMARK = "DeepfakeBench, README of the project (Yan et al., NeurIPS 2023)"
_SBI = "README of the authors' repository, not their paper (Shiohara & Yamasaki, CVPR 2022)"

REPORTED = (
    Reported("Celeb-DF v2", "frames", "EfficientNet-B4", 0.749, _BENCHMARK),
    Reported("DFDC preview", "frames", "EfficientNet-B4", 0.728, _BENCHMARK),
    Reported("DFDC", "frames", "EfficientNet-B4", 0.696, _BENCHMARK),
    Reported("Celeb-DF v2", "videos", "self-blended images, EfficientNet-B4", 0.929, _SBI),
    Reported("Celeb-DF v2", "videos", "Effort", 0.956, "Yan et al., ICML 2025"),
    Reported("Celeb-DF v2", "videos", "Forensics Adapter", 0.957, "Cui et al., CVPR 2025"),
)
