"""What the lesson teaches: sizes of convolutions, residual blocks, ResNets."""

from resnet_lesson.networks.blocks import BasicBlock, Bottleneck, Residual
from resnet_lesson.networks.convolution import output_size
from resnet_lesson.networks.resnet import (
    ResNet,
    plain_twin,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    small_resnet,
)

__all__ = ["BasicBlock", "Bottleneck", "ResNet", "Residual", "output_size", "plain_twin",
           "resnet101", "resnet152", "resnet18", "resnet34", "resnet50", "small_resnet"]
