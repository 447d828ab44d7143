"""Names that other programs give the layers of an EfficientNet, a module each.
A module says too how that program's networks compute differently from torchvision's.
Reading files of weights builds on it."""
