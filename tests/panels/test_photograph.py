"""The photograph of notebook 06: from a file, upright, in colour, and never an error."""

import base64
import datetime
import io

import numpy as np
import pytest
from PIL import Image

from resnet_lesson.panels.photograph import SIDE, Photograph


def file(picture, kind="PNG", name="mine.png", **options):
    """Return what ipywidgets hands over for a picture file that was chosen."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return {"name": name, "content": memoryview(buffer.getvalue()), "type": "", "size": 1,
            "last_modified": datetime.datetime(2026, 1, 1)}


@pytest.fixture
def photo():
    return Photograph()


def test_it_starts_with_the_example_and_keeps_it_without_a_kernel(photo):
    assert photo.caption.startswith("Grace Hopper") and "512×600 pixels" in photo.caption
    assert photo.picture.mode == "RGB" and photo.caption in photo.words.value
    stored = Image.open(io.BytesIO(base64.b64decode(photo.snapshot()["image/jpeg"])))
    assert max(stored.size) == 360 and f'alt="{photo.caption}"' in photo.image.value
    assert repr(photo) == photo._repr_mimebundle_()["text/plain"] == photo.caption


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
def test_a_file_of_any_kind_becomes_a_picture_in_colour(photo, mode):
    photo.upload.value = (file(Image.new("RGB", (30, 20), "red").convert(mode)),)
    assert photo.picture.mode == "RGB" and photo.picture.size == (30, 20)
    assert photo.caption == "mine.png, 30×20 pixels."


def test_a_photograph_taken_sideways_is_turned_and_a_large_one_made_smaller(photo):
    turned = Image.Exif()
    turned[0x0112] = 6   # as telephones write it
    pixels = np.zeros((1500, 3000, 3), np.uint8)
    pixels[:, :1500] = 255
    photo.upload.value = (file(Image.fromarray(pixels), "JPEG", exif=turned),)
    assert photo.picture.size == (SIDE // 2, SIDE) and "1500×3000" in photo.caption
    assert photo.picture.getpixel((100, 10)) == (255, 255, 255)


@pytest.mark.parametrize("content", [b"no picture", b"", b"\x89PNG\r\n\x1a\n half"])
def test_what_is_no_picture_is_said_and_the_one_before_stays(photo, content):
    before = photo.picture
    photo.upload.value = ({**file(before), "name": "notes.txt", "content": memoryview(content)},)
    assert photo.picture is before and "notes.txt is no picture" in photo.words.value
