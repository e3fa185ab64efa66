"""The photograph of notebook 06: from a file, upright, in colour, and never an error."""

import base64
import datetime
import io

import pytest
from PIL import Image

from resnet_lesson.panels import photograph


def chosen(picture=None, content=b"", name="mine.png", **options):
    """Return what ipywidgets hands over for a file that was chosen."""
    buffer = io.BytesIO(content)
    if picture:
        picture.save(buffer, "PNG", **options)
    return ({"name": name, "content": memoryview(buffer.getvalue()), "type": "", "size": 1,
             "last_modified": datetime.datetime(2026, 1, 1)},)


def test_the_example_is_kept_without_a_kernel():
    photo = photograph.Photograph()
    assert "Grace Hopper" in photo.caption and "512×600 pixels" in photo.words.value
    stored = Image.open(io.BytesIO(base64.b64decode(photo.snapshot()["image/jpeg"])))
    assert max(stored.size) == photograph.SHOWN and f'alt="{photo.caption}"' in photo.image.value
    assert repr(photo) == photo._repr_mimebundle_()["text/plain"] == photo.caption


def test_a_file_becomes_a_picture_in_colour_upright_and_of_a_size_to_work_with():
    photo, turned = photograph.Photograph(), Image.Exif()
    turned[0x0112] = 6   # the way a telephone says that it was held upright
    for mode in ("RGBA", "L", "P", "1"):
        picture = Image.new("RGB", (3000, 1500), "red").convert(mode)
        photo.upload.value = chosen(picture, exif=turned)
        assert photo.picture.mode == "RGB" and photo.picture.size == (512, photograph.SIDE)
        assert photo.caption == "mine.png, 1500×3000 pixels."


@pytest.mark.parametrize("content", [b"no picture", b"", b"\x89PNG\r\n\x1a\n half"])
def test_what_is_no_picture_is_said_and_the_one_before_stays(content):
    photo = photograph.Photograph()
    before = photo.picture
    photo.upload.value = chosen(content=content, name="notes.txt")
    assert photo.picture is before and "notes.txt is no picture" in photo.words.value
