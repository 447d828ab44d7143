"""Stored bytes become what a network pretrained on ImageNet takes, whatever runs before or around it."""

import torch

from deepfake_detection.network.normalise import MEAN, STD, Normalise


def test_normalised_as_imagenet_in_channels_last() -> None:
    normalise = Normalise()
    frames = torch.randint(0, 256, (3, 17, 24, 3), dtype=torch.uint8)
    mean, std = (torch.tensor(value, dtype=torch.float64).view(1, 3, 1, 1) for value in (MEAN, STD))
    expected = (frames.permute(0, 3, 1, 2).double() / 255 - mean) / std
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = normalise(frames)
    for found in (normalise(frames), under_autocast, normalise(frames[:, 2:9, 3:20])):
        assert found.dtype == torch.float32
        assert found.is_contiguous(memory_format=torch.channels_last)
    assert (normalise(frames) - expected).abs().max() < 1e-6
    assert torch.equal(under_autocast, normalise(frames))
    assert torch.equal(normalise(frames[:, 2:9, 3:20]), normalise(frames)[:, :, 2:9, 3:20])


def test_constants_of_normalise_serve_training_after_inference() -> None:
    normalise = Normalise()
    with torch.inference_mode():
        normalise(torch.zeros(1, 4, 4, 3, dtype=torch.uint8))
    gain = torch.ones(1, requires_grad=True)
    (gradient,) = torch.autograd.grad((normalise(torch.zeros(1, 4, 4, 3, dtype=torch.uint8)) * gain).sum(), gain)
    assert gradient < 0
