"""The reader of AVIF boxes agrees with the Pillow that the training has, which can write and decode AVIF."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lib_lora_train.pictures import images
from lib_lora_train.pictures.avif import read_avif_header
from lib_lora_train.pictures.images import PictureError, open_picture, read_header

from .making import noise


def avif(picture: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "AVIF", speed=10, quality=30, **options)
    return buffer.getvalue()


@given(st.integers(8, 90), st.integers(8, 90), st.sampled_from(["RGB", "RGBA"]), st.integers(1, 8))
@settings(max_examples=25, deadline=None)
def test_both_see_the_same_size(tmp_path_factory, width, height, mode, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path_factory.mktemp("avif") / "a.avif"
    path.write_bytes(avif(noise(width, height, mode), exif=exif.tobytes()))
    header, boxes = read_header(path), read_avif_header(path.open("rb"))
    assert open_picture(path).size == header[:2] == (boxes.width, boxes.height)
    assert header.has_alpha == boxes.has_alpha == (mode == "RGBA")


def test_both_see_that_it_is_animated(tmp_path, monkeypatch):
    path = tmp_path / "a.avif"
    path.write_bytes(avif(noise(seed=1), save_all=True, append_images=[noise(seed=2)]))
    with pytest.raises(PictureError, match="it is animated"):
        read_header(path)
    monkeypatch.setattr(images, "_avif_is_readable", lambda: False)
    with pytest.raises(PictureError, match="it is animated"):
        read_header(path)


def test_a_truncated_avif_is_found_by_decoding(tmp_path):
    path = tmp_path / "a.avif"
    content = avif(noise(200, 200))
    path.write_bytes(content[:len(content) * 2 // 3])
    with pytest.raises(PictureError, match="damaged"):
        open_picture(path)
