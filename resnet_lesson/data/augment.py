"""Small random changes of the training pictures, so that none can be learnt by heart."""

from dataclasses import dataclass

import torch

from resnet_lesson.words import whole


@dataclass(frozen=True)
class Augment:
    """How pictures are changed in training."""

    shift: int = 0      # move each picture by up to so many pixels both ways, zeros move in
    flip: bool = False  # mirror every other picture, left to right
    # set to zero a square with sides of so many pixels, at a random place; it may stick out
    # (DeVries and Taylor, "Improved Regularization of CNNs with Cutout", 2017)
    erase: int = 0

    def __post_init__(self):
        """Keep plain numbers, which can be written down, or refuse them in words."""
        for name in ("shift", "erase"):
            object.__setattr__(self, name, whole(getattr(self, name), name, 0))
        object.__setattr__(self, "flip", bool(self.flip))

    def check(self, size):
        """Refuse, in words, what cannot be done to pictures of ``size`` = (height, width)."""
        for name, value in (("shift", self.shift), ("erase", self.erase)):
            if value > min(size):
                raise ValueError(f"{name} must be at most {min(size)} pixels, the side of the "
                                 f"pictures, got {value}")

    def __call__(self, images, generator):
        """Return changed copies of pictures (N, channels, height, width); a seed fixes them all."""
        count, _, height, width = images.shape
        device = images.device

        def draw(low, high):
            return torch.randint(low, high + 1, (count, 1), generator=generator).to(device)

        rows = torch.arange(height, device=device).expand(count, height)
        columns = torch.arange(width, device=device).expand(count, width)
        if self.flip:
            columns = torch.where(draw(0, 1).bool(), columns.flip(1), columns)
        if self.shift:
            rows = rows + draw(-self.shift, self.shift)
            columns = columns + draw(-self.shift, self.shift)
        inside = ((rows >= 0) & (rows < height))[:, :, None] & (
            (columns >= 0) & (columns < width))[:, None, :]
        if self.erase:
            top = draw(0, height - 1) - self.erase // 2
            left = draw(0, width - 1) - self.erase // 2
            down, across = torch.arange(height, device=device), torch.arange(width, device=device)
            inside = inside & ~(((down >= top) & (down < top + self.erase))[:, :, None]
                                & ((across >= left) & (across < left + self.erase))[:, None, :])
        picture = torch.arange(count, device=device)[:, None, None]
        moved = images.permute(0, 2, 3, 1)[picture, rows.clamp(0, height - 1)[:, :, None],
                                           columns.clamp(0, width - 1)[:, None, :]]
        return (moved * inside[..., None]).permute(0, 3, 1, 2).contiguous()
