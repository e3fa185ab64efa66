"""How people's own pictures and labels become what ``Split`` takes: words that can be followed.

What stands between backquotes is Python; it keeps what can be seen, and changes type and shape.
"""

import math

import torch

WHITES = (1, 16, 255, 65535)   # of floats, scikit-learn's digits, bytes, 16-bit files


def to_tensor(name, value):
    """Say how something becomes a tensor."""
    first = value[0] if isinstance(value, list | tuple) and value else None
    if isinstance(first, torch.Tensor):
        return f"convert with `torch.stack(list({name}))`"
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    if name == "labels" and (isinstance(first, str) or kind in ("O", "S", "T", "U")):
        return ("number them, `torch.tensor([sorted(set(labels)).index(label) for label in "
                "labels])`, and name them, classes=sorted(set(labels))")
    if hasattr(first, "__array_interface__"):   # arrays, and pictures of Pillow
        return f"convert with `torch.as_tensor(numpy.stack({name}))`"
    values = f"{name}.to_numpy()" if hasattr(value, "to_numpy") else name
    return f"convert with `torch.as_tensor({values})`"


def about_images(images, count):
    """Return what is wrong with pictures, of which there should be ``count``, or ``None``."""
    shape = images.shape
    wrong = f"images need the shape (N, channels, height, width), got {tuple(shape)}; "
    if images.ndim > 1 and shape[:1] != count == shape[-1:]:
        return f"{wrong}put the number of pictures first with `images.movedim(-1, 0)`"
    if images.ndim in (2, 3) and shape[:1] != count == (1,):
        return f"{wrong}one picture is a set of one, `images.unsqueeze(0)`"
    if images.ndim == 3:
        return f"{wrong}add a channel dimension with `images.unsqueeze(1)`"
    for channels in (1, 3):
        side = math.isqrt(shape[-1] // channels) if images.ndim == 2 else 0
        if side and channels * side ** 2 == shape[1]:
            return f"{wrong}lay out each row with `images.reshape(-1, {channels}, {side}, {side})`"
    if images.ndim != 4:
        return f"{wrong}lay out each picture with images.reshape"
    if shape[3] in (1, 3, 4) and min(shape[1:3]) > 4:
        return f"{wrong}put the channels before height and width, `images.permute(0, 3, 1, 2)`"
    if images.dtype == torch.uint8:
        return None
    wrong = f"images need dtype torch.uint8 (0 … 255), got {images.dtype}"
    if images.is_complex():
        return f"{wrong}; give real numbers, such as `images.real`"
    low, high = map(float, images.float().aminmax()) if images.numel() else (0, 1)
    wrong = f"{wrong} from {low:g} to {high:g}; "
    if not math.isfinite(high - low):
        return f"{wrong}leave out what is no number, images.isfinite() says where"
    if low < 0 and images.dtype == torch.int8:
        return f"{wrong}read the same bytes without a sign, `images.view(torch.uint8)`"
    if -1 <= low < 0 and high <= 1:
        return f"{wrong}convert with `((images.float() + 1) * 127.5).round().to(torch.uint8)`"
    if low < 0:
        return f"{wrong}give the pictures as they were before they were normalised"
    white = next((white for white in WHITES if high <= white), high)
    scale = {1: " * 255", 255: ""}.get(white, f" * (255 / {white:.9g})")
    return f"{wrong}convert with `(images.float(){scale}).round().to(torch.uint8)`"


def about_labels(labels, n, classes):
    """Return what is wrong with the labels of n pictures of so many classes, or ``None``."""
    if labels.shape != (n,):
        wrong = f"{n} pictures need labels of shape ({n},), got {tuple(labels.shape)}; "
        if labels.numel() == n:
            return f"{wrong}take `labels.flatten()`"
        if labels.ndim == 2 and len(labels) == n and ((labels != 0).sum(1) == 1).all():
            return f"{wrong}the class of each row is `labels.long().argmax(1)`"
        return f"{wrong}give each picture one label, the number of its class"
    if labels.dtype != torch.int64:
        wrong = f"labels need dtype torch.int64, got {labels.dtype}; "
        if labels.is_floating_point() and not torch.equal(labels, labels.round()):
            return f"{wrong}they are no whole numbers, so give the number of each class"
        return f"{wrong}convert with `labels.long()`"
    low, high = map(int, labels.aminmax()) if n else (0, 0)
    wrong = f"labels must lie between 0 and {classes - 1}, got {low} … {high}; "
    if low < 0:
        return f"{wrong}number the classes with `labels.unique(return_inverse=True)[1]`"
    if low == 1 and high == classes:
        return f"{wrong}count from 0 with `labels - 1`"
    if high >= classes:
        names = f"`classes=tuple(map(str, range({high + 1})))`"
        return f"{wrong}name every class in Split, such as {names}"
    return None
