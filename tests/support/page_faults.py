"""Counts the pages that the kernel must find for large tensors."""

# for a process of its own; prints the page faults of ten tensors, after ten that warm up
COUNT_FAULTS = """
import resource, torch
def work():
    for _ in range(10):
        torch.ones(2**25)  # 128 MiB
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
