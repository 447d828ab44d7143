"""The names of the ways to cut out a face, which parameters and sidecars share. ``pictures.crops`` cuts."""

from typing import Literal, TypeAlias

CropRule: TypeAlias = Literal["none", "face", "square", "box", "letterbox", "aligned"]

CROP_WORDS: dict[CropRule, str] = {
    "none": "squeezed to the input size, antialiased bilinear",
    "face": "a square around the face, squeezed to the input size, antialiased bilinear",
    "square": "a square around the face, black beyond the picture, squeezed to the input size, antialiased bilinear",
    "box": "the box of the face with the margin, squeezed to the input size, bilinear",
    "letterbox": "the box of the face with the margin, its shape kept by black bars, by area or if enlarged bicubic",
    "aligned": "the face with eyes, nose and mouth where ArcFace's template has them, bilinear",
}
