"""Imports files of weights of others by a recipe, as a checkpoint of ours or as weights to start training from."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing, sha256_of
from deepfake_detection.common.text import printable
from deepfake_detection.importing.heads import one_logit
from deepfake_detection.importing.recipes import Input, Recipe, recipe_of, recipes
from deepfake_detection.network.dialects.dialect import torchvision_names
from deepfake_detection.network.model import Network, described, efficientnet_of
from deepfake_detection.network.sidecar import Imported, Sidecar
from deepfake_detection.network.variant import Variant
from deepfake_detection.network.weights import (
    HEAD,
    Weights,
    architecture_of,
    check_numbers,
    read_state_dict,
    save_tensors,
    with_variant,
    without_prefix,
)

DATA_PARALLEL = "module."
NORM = ("weight", "bias", "running_mean", "running_var")


class _UnfitError(Exception):
    """Why the tensors of a file are not those of a recipe."""


class _Found(NamedTuple):
    arch: str
    variant: Variant
    state: dict[str, Tensor]


def import_weights(
    files: list[Path], name: str, to: Path, given: Input | None = None, fake: int | None = None
) -> Sidecar | None:
    """Writes the checkpoint ``to`` and its sidecar from ``files``, of which recipe ``name`` says what they are.

    ``given`` and ``fake`` are what the recipe leaves to the user. A recipe for weights to start training from gives a
    file without a sidecar, and None. Raises UserError when a file is not what the recipe says, and when something is
    missing or given twice. Nothing is written then.
    """
    recipe = completed(recipe_of(name), given or Input(), fake)
    if len(files) > recipe.file.members:
        raise UserError(f"{len(files)} files, and recipe {name} takes {recipe.file.members}: import each for itself")
    digests = [sha256_of(file) if file.is_file() else "" for file in files]
    published = {digest: other for other, each in recipes().items() for digest in each.file.sha256}
    for file, digest in zip(files, digests, strict=True):
        if published.get(digest, name) != name:
            raise UserError(f"{file}: its authors published it as what recipe {published[digest]} is for, not {name}")
    found = [_found(file, name, recipe) for file in files]
    arch, variant, state = found[0]
    if len(found) > 1:
        variant = variant.model_copy(update={"members": len(found)})
        state = {f"members.{number}.{key}": each.state[key] for number, each in enumerate(found) for key in each.state}
    if recipe.input is None:
        with replacing(to) as (part,):
            save_tensors(with_variant(state, variant), part)
        return None
    sidecar = _sidecar(name, recipe, arch, variant, digests)
    with replacing(to, to.with_suffix(".json")) as (part, beside):
        save_tensors(with_variant(state, variant), part)
        beside.write_text(sidecar.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return sidecar


def completed(recipe: Recipe, given: Input, fake: int | None) -> Recipe:
    """The recipe with what it leaves to the user. Raises UserError for what is missing, or not the user's to say."""
    own = recipe.input.model_dump() | {"fake_class": recipe.file.fake} if recipe.input else {}
    for key, value in (given.model_dump() | {"fake_class": fake}).items():
        option = f"--{key.replace('_', '-')}"
        if value is not None and own.get(key, "") is not None:
            raise UserError(f"{option}: not to be given, because the recipe says it")
        if value is None and recipe.input and own[key] is None:
            raise UserError(f"{option} is needed: the recipe does not know it")
    if recipe.input is None:
        return recipe
    changes = {key: value for key, value in given.model_dump().items() if value is not None}
    return recipe.model_copy(
        update={
            "input": recipe.input.model_copy(update=changes),
            "file": recipe.file.model_copy(update={"fake": recipe.file.fake if fake is None else fake}),
        }
    )


def _found(path: Path, name: str, recipe: Recipe) -> _Found:
    state = read_state_dict(path)
    if all(key.startswith(DATA_PARALLEL) for key in state):
        state = {key.removeprefix(DATA_PARALLEL): value for key, value in state.items()}
    try:
        found = _fitted(state, recipe, path)
    except _UnfitError as problem:
        others = ", ".join(other for other, each in recipes().items() if each.file.arch and _fits(state, each, path))
        says = f"it fits {others}" if others else str(problem)
        raise UserError(printable(f"{path}: not a file of recipe {name}: {says}", " ")) from None
    check_numbers(found.state, path)
    return found


def _fits(state: Mapping[str, Tensor], recipe: Recipe, path: Path) -> bool:
    try:
        _fitted(state, recipe, path)
    except _UnfitError:
        return False
    return True


def _fitted(state: Mapping[str, Tensor], recipe: Recipe, path: Path) -> _Found:
    """The tensors under our names, those of the head as one logit. Raises _UnfitError if they are not the recipe's."""
    file = recipe.file
    if file.prefix is None:
        backbone, dialect = without_prefix(dict(state), path)
        prefix, layers = "", backbone
    else:
        prefix, layers = file.prefix, dict(state)
        apart = tuple(f"{layer}." for layer in (file.head, file.norm, *file.unused) if layer)
        backbone = {key: value for key, value in state.items() if not key.startswith(apart)}
        if others := [key for key in backbone if not key.startswith(prefix)]:
            raise _UnfitError(f"it holds {others[0]!r}")
        backbone = {key.removeprefix(prefix): value for key, value in backbone.items()}
        dialect = recipe.dialects()[0]
    if dialect not in recipe.dialects() or dialect.first not in backbone:
        raise _UnfitError(f"it has no {prefix + recipe.dialects()[0].first!r}")
    arch = file.arch or architecture_of(Weights(path, backbone, dialect, None, False))
    if arch is None or not arch.startswith(("efficientnet_b", "efficientnet_lite0")):
        raise _UnfitError(f"it is of {arch or 'no architecture that is known'}, and not efficientnet_b0 to b7")
    variant = recipe.variant(dialect, arch)
    own = _tensors(arch, variant.attention)
    found = torchvision_names(backbone, dialect, own)
    theirs = {ours: prefix + key for ours, key in zip(found, backbone, strict=True)}
    tensors = {}
    for key, expected in own.items():
        if key.startswith("classifier."):
            continue
        if key not in found and key.endswith("num_batches_tracked"):  # older programs do not write it
            tensors[key] = torch.zeros((), dtype=expected.dtype)
        elif key not in found:
            raise _UnfitError(f"it has no {key!r}")
        elif found[key].shape != expected.shape:
            shapes = (tuple(each.shape) for each in (found[key], expected))
            raise _UnfitError("{!r} is of shape {}, and should be of {}".format(theirs[key], *shapes))
        else:
            tensors[key] = found[key]
    if others := [theirs[key] for key in found if key not in own]:
        raise _UnfitError(f"it holds {others[0]!r}")
    if recipe.input is None:
        return _Found(arch, variant, tensors)
    head = _head(layers, recipe, own[HEAD].shape[1])
    return _Found(arch, variant, tensors | {f"classifier.1.{kind}": value for kind, value in head.items()})


@cache
def _tensors(arch: str, attention: int | None) -> dict[str, Tensor]:
    """The names and shapes of a network; nothing else of a variant changes them."""
    with torch.device("meta"):
        return dict(efficientnet_of(arch, Variant(attention=attention)).state_dict())


def _head(layers: Mapping[str, Tensor], recipe: Recipe, width: int) -> dict[str, Tensor]:
    """The last layer as one logit, which ``width`` features go into."""
    file = recipe.file
    rows = (1, 2) if file.classes is None else (file.classes,)
    weight = layers.get(f"{file.head}.weight", torch.empty(0))
    if weight.shape not in {(row, width) for row in rows} or f"{file.head}.bias" not in layers:
        found = f"is of shape {tuple(weight.shape)}" if weight.numel() else "is not there"
        raise _UnfitError(f"'{file.head}.weight' {found}, and should be of {' or '.join(map(str, rows))} x {width}")
    parts = [{kind: layers[f"{file.head}.{kind}"] for kind in ("weight", "bias")}]
    shapes = [(len(weight),)]
    if file.norm:
        if missing := [kind for kind in NORM if f"{file.norm}.{kind}" not in layers]:
            raise _UnfitError(f"it has no '{file.norm}.{missing[0]}'")
        parts.append({kind: layers[f"{file.norm}.{kind}"] for kind in NORM})
        shapes.append((width,))
    for part, shape in zip(parts, shapes, strict=True):
        if any(value.shape not in (shape, weight.shape) for value in part.values()):
            raise _UnfitError(f"the tensors of {file.head!r} do not fit together")
    return one_logit(parts[0], 1 if file.fake is None else file.fake, *parts[1:])


def _sidecar(name: str, recipe: Recipe, arch: str, variant: Variant, digests: list[str]) -> Sidecar:
    with torch.device("meta"):
        network = Network(efficientnet_of(arch, variant), variant=variant)
    asked: Any = recipe.input
    return Sidecar(
        **described(network, arch),
        input_size=[asked.size] * 2,
        crop=asked.crop,
        margin=asked.margin,
        categories=recipe.categories,
        imported=Imported(recipe=name, licence=recipe.card.licence_of_weights, files=digests, **recipe.reading),
        calibrated=False,
    )
