"""Pictures in memory: Fashion-MNIST and handwritten digits, split once."""

from resnet_lesson.data.splits import Split, Splits, load_digits, load_fashion_mnist

__all__ = ["Split", "Splits", "load_digits", "load_fashion_mnist"]
