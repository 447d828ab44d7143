"""Drawn versions of the five FaceForensics++ manipulations. Each shows the typical flaws of the real one.

Rössler et al. 2019, "FaceForensics++: Learning to detect manipulated facial images", for
Deepfakes, Face2Face, FaceSwap and NeuralTextures; Li et al. 2020, "Advancing high fidelity
identity swapping for forgery detection", for FaceShifter.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from deepfake_detection.sources.drawn.portraits import (
    Array,
    Drawing,
    Identity,
    Scene,
    Shot,
    add_sensor_noise,
    render,
    with_expression,
)


@dataclass(frozen=True)
class Take:
    """One frame of one video: the person, the scene, the pose, and the picture as filmed."""

    person: Identity
    scene: Scene
    shot: Shot
    filmed: Array


def deepfakes(target: Take, source: Take, rng: np.random.Generator) -> Array:
    """A low-resolution face of the source, with matched colours and a feathered edge."""
    face = render(source.person, _with_changed_light(target.scene, rng), target.shot, _size(target))
    swap = _coarsen(face.picture, rng.uniform(1.6, 4.8))
    swap = _match_colour(swap, target.filmed, _inner_face(face, 0.9, 0.1))
    swap = add_sensor_noise(swap, rng.uniform(0, 0.5) * target.scene.noise, rng)  # grain hides the seam
    return _blend(target.filmed, swap, _inner_face(face, rng.uniform(0.84, 0.94), 0.16))


def face_swap(target: Take, source: Take, rng: np.random.Generator) -> Array:
    """The source's face at full resolution in its own light, with a hard edge and colours that are not matched."""
    scene = replace(source.scene, scale=target.scene.scale, backdrop=target.scene.backdrop, focus=0.0)
    face = render(source.person, scene, target.shot, _size(target))
    return _blend(target.filmed, face.picture, _inner_face(face, rng.uniform(0.80, 0.90), 0.02))


def face_shifter(target: Take, source: Take, rng: np.random.Generator) -> Array:
    """The source's face in the target's light and colours, slightly smoothed, with a wide soft edge."""
    face = render(source.person, target.scene, target.shot, _size(target))
    swap = ndimage.gaussian_filter(face.picture, (rng.uniform(0.5, 0.8),) * 2 + (0,))
    swap = _match_colour(swap, target.filmed, _inner_face(face, 0.95, 0.1))
    return _blend(target.filmed, swap, _inner_face(face, 0.92, 0.22))


def face2face(target: Take, source: Take, rng: np.random.Generator) -> Array:
    """The target's own face, rendered again with the source's expression."""
    shot = with_expression(target.shot, source.shot)
    shot = replace(shot, x=shot.x + rng.normal(0, 0.008), y=shot.y + rng.normal(0, 0.008))
    face = render(target.person, target.scene, shot, _size(target))
    redrawn = ndimage.gaussian_filter(face.picture, (0.5, 0.5, 0))
    return _blend(target.filmed, redrawn, _inner_face(face, 0.86, 0.08))


def neural_textures(target: Take, source: Take, rng: np.random.Generator) -> Array:
    """Only the mouth region, rendered again with the source's mouth and smoothed."""
    shot = replace(target.shot, mouth_open=source.shot.mouth_open, smile=source.shot.smile)
    face = render(target.person, target.scene, shot, _size(target))
    mouth = ndimage.gaussian_filter(face.picture, (rng.uniform(0.9, 1.4),) * 2 + (0,))
    distance = np.sqrt((face.u / 0.62) ** 2 + ((face.v - 0.52) / 0.36) ** 2)
    return _blend(target.filmed, mouth, np.clip((1 - distance) / 0.2, 0, 1))


MANIPULATIONS: dict[str, Callable[[Take, Take, np.random.Generator], Array]] = {
    "Deepfakes": deepfakes,
    "Face2Face": face2face,
    "FaceShifter": face_shifter,
    "FaceSwap": face_swap,
    "NeuralTextures": neural_textures,
}


def _size(take: Take) -> int:
    return int(take.filmed.shape[0])


def _with_changed_light(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene in slightly different light, because an autoencoder reproduces light only roughly."""
    return replace(scene, light_azimuth=scene.light_azimuth + rng.normal(0, 0.25), focus=0.0)


def _inner_face(face: Drawing, extent: float, feather: float) -> Array:
    """A mask of shape (size, size): 1 from brows to chin, falling to 0 over ``feather`` (in face units)."""
    distance = np.sqrt((face.u / (0.92 * extent)) ** 2 + ((face.v - 0.14) / (0.82 * extent)) ** 2)
    return np.clip((1 - distance) / feather, 0, 1)


def _coarsen(picture: Array, factor: float) -> Array:
    """Leaves only the detail that passes through a network ``factor`` times coarser than the frame."""
    size = picture.shape[0]
    small = max(4, round(size / factor))
    blurred = ndimage.gaussian_filter(picture, (0.45 * factor, 0.45 * factor, 0))
    there = (np.arange(small) + 0.5) * size / small - 0.5
    rows, columns = np.meshgrid(there, there, indexing="ij")
    back = (np.arange(size) + 0.5) * small / size - 0.5
    back_rows, back_columns = np.meshgrid(back, back, indexing="ij")
    channels = []
    for channel in np.moveaxis(blurred, -1, 0):
        coarse = ndimage.map_coordinates(channel, [rows, columns], order=1, mode="nearest")
        channels.append(ndimage.map_coordinates(coarse, [back_rows, back_columns], order=1, mode="nearest"))
    return np.stack(channels, axis=-1)


def _match_colour(swap: Array, filmed: Array, mask: Array) -> Array:
    """Gives the swap the target's mean and standard deviation in each channel, measured inside the mask."""
    weight = mask[..., None] / mask.sum()
    mean_swap, mean_film = (swap * weight).sum((0, 1)), (filmed * weight).sum((0, 1))
    std_swap = np.sqrt((weight * (swap - mean_swap) ** 2).sum((0, 1)))
    std_film = np.sqrt((weight * (filmed - mean_film) ** 2).sum((0, 1)))
    matched: Array = (swap - mean_swap) * (std_film / np.maximum(std_swap, 1e-6)) + mean_film
    return matched


def _blend(under: Array, over: Array, mask: Array) -> Array:
    return np.clip(under + (over - under) * mask[..., None], 0, 1)
