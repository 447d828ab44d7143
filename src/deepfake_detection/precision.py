"""The precision that the device is fast at."""

import torch


def fast_precision() -> str:
    """Lightning's name of the fastest precision that the device computes in hardware.

    On a GPU bf16 or, where it only emulates that, fp16 with scaled losses; on a processor bf16 if it multiplies
    matrices in it (AMX), else float32: AVX-512's bf16 instructions alone train and predict B7 more slowly than
    float32 (``python -m benchmarks.train``).
    """
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    fast = not torch.accelerator.is_available() and torch.cpu.get_capabilities().get("amx_bf16")
    return "bf16-mixed" if fast else "32-true"
