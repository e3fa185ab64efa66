"""``Photograph``: a picture of the reader's own, from a file, or the example that ships."""

import base64
import html
import io

import ipywidgets as widgets
from matplotlib.cbook import get_sample_data
from PIL import Image, ImageOps, UnidentifiedImageError

from resnet_lesson.panels.base import LOOKS, Captioned, paragraph

# matplotlib ships it: an official portrait of 1984
EXAMPLE = "grace_hopper.jpg"
WORDS = "Grace Hopper, who wrote one of the first compilers (U.S. Navy, public domain)"
SIDE = 1024  # a larger photograph is made smaller; the network looks at fewer pixels still
SHOWN = 360


class Photograph(Captioned):
    """A button that takes a file, and the photograph in it; before that the example.

    Attributes:
        picture: the photograph, PIL's, upright and in colour.
        caption: what it is and how large; also the ``repr``.
        upload, image, words: the widgets with the button, the photograph and the caption.
    """

    def __init__(self):
        self.upload = widgets.FileUpload(accept="image/*", description="A photograph of yours",
                                         layout=widgets.Layout(width="280px"))
        self.upload.observe(self._take, names="value")
        self.image, self.words = widgets.HTML(), widgets.HTML()
        super().__init__([widgets.HTML(LOOKS), self.upload, self.image, self.words])
        with get_sample_data(EXAMPLE) as file:
            self.show(file.read(), WORDS)

    def show(self, content, name):
        """Take the bytes of a picture file and its name; words say so where it is none."""
        try:
            with Image.open(io.BytesIO(content)) as found:
                picture = ImageOps.exif_transpose(found).convert("RGB")
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
            self.words.value = paragraph(f"{name} is no picture that can be read here, so the one "
                                         "before it stays. Take a JPEG or a PNG.")
            return
        size = "×".join(map(str, picture.size))
        picture.thumbnail((SIDE, SIDE))
        self.picture, self.caption = picture, f"{name}, {size} pixels."
        small = picture.copy()
        small.thumbnail((SHOWN, SHOWN))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=85)
        self._jpeg = base64.b64encode(buffer.getvalue()).decode()
        self.image.value = (f'<img alt="{html.escape(self.caption)}" '
                            f'src="data:image/jpeg;base64,{self._jpeg}">')
        self.words.value = paragraph(self.caption)

    def snapshot(self):
        """Return the photograph as base64, since the live one needs a kernel."""
        return {"image/jpeg": self._jpeg}

    def _take(self, change):
        for file in change["new"]:
            self.show(bytes(file["content"]), file["name"])
