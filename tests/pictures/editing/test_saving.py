"""What an edited image keeps: pixels, profile, transparency, 16 bits, text; and what is refused."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.editing.saving import encoded, format_words, losses
from lib_lora_train.pictures.editing.turning import Frame, Turn, cut_out
from lib_lora_train.pictures.images import PictureError, as_stored, open_picture

PIXELS = np.random.default_rng(1).integers(0, 256, (24, 36, 3), np.uint8)
CROP = Frame(4, 2, 28, 20)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    content = BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def edited(content: bytes, kind: str | None = None, turn: Turn | None = None,
           frame: Frame | None = CROP) -> Image.Image:
    """The file ``content`` turned and cropped, saved as ``kind`` (as itself for ``None``) and opened again."""
    with as_stored(Path("x"), content) as stored:
        new = encoded(cut_out(stored.picture, turn or Turn(), frame), stored, kind or stored.format)
    found = Image.open(BytesIO(new))
    found.load()
    return found


@pytest.mark.parametrize(("mode", "kind"), [(mode, kind) for kind in ("PNG", "BMP") for mode in ("RGB", "L", "P", "1")]
                         + [("RGBA", "PNG"), ("LA", "PNG")])
def test_formats_without_loss_keep_mode_and_pixels(mode: str, kind: str):
    picture = Image.fromarray(PIXELS).convert(mode)
    found = edited(saved(picture, kind))
    assert found.format == kind and found.size == (24, 18)
    assert found.mode == mode or (mode, kind) == ("1", "BMP")
    assert np.array_equal(np.asarray(found.convert("RGBA")), np.asarray(picture.convert("RGBA").crop(CROP)))


def test_sixteen_bits_of_grey_are_kept_in_place_and_as_a_new_image():
    levels = np.arange(24 * 36, dtype=np.uint16).reshape(24, 36) * 70
    found = edited(saved(Image.fromarray(levels), "PNG"))
    assert np.array_equal(np.asarray(found), levels[2:20, 4:28])
    assert edited(saved(Image.fromarray(levels), "PNG"), turn=Turn(degrees=4), frame=None).mode.startswith("I")


def test_sixteen_bits_of_colour_are_said_to_become_eight():
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + bytes(range(9 * 6)) for _ in range(9))
    content = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 16, 2, 0, 0, 0))
               + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    with as_stored(Path("x"), content) as stored:
        assert "16 bits" in losses(stored, "PNG")[0]


def test_profile_text_and_transparency_are_kept():
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "1girl, penny\nSteps: 20, ä → é")
    picture = Image.fromarray(PIXELS).convert("RGBA")
    picture.putalpha(Image.fromarray(PIXELS[..., 0]))
    found = edited(saved(picture, "PNG", icc_profile=PROFILE, pnginfo=info))
    assert found.info["icc_profile"] == PROFILE and found.text["parameters"] == "1girl, penny\nSteps: 20, ä → é"
    assert np.array_equal(np.asarray(found)[..., 3], PIXELS[2:20, 4:28, 0])
    palette = Image.fromarray(PIXELS).quantize(8)
    assert edited(saved(palette, "PNG", transparency=3)).info["transparency"] in (3, b"\xff\xff\xff\x00")
    assert edited(saved(Image.fromarray(PIXELS), "JPEG", icc_profile=PROFILE)).info["icc_profile"] == PROFILE


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [None, "PNG"])
def test_an_image_that_lies_on_its_side_is_cropped_upright_and_stays_so(orientation: int, kind: str | None):
    """Smooth colours, so that JPEG changes little; against the independent reading of the whole image."""
    smooth = np.stack(np.meshgrid(np.linspace(0, 255, 48), np.linspace(0, 255, 32)), -1).astype(np.uint8)
    picture = Image.fromarray(np.concatenate([smooth, smooth[..., :1] // 2], -1))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "a camera"
    content = saved(picture, "JPEG", quality=95, subsampling=0, exif=exif.tobytes())
    found = edited(content, kind)
    assert found.getexif().get(0x0112, 1) == 1 and found.getexif()[0x010F] == "a camera"
    expected = np.asarray(open_picture(Path("x"), content).crop(CROP), np.int16)
    assert np.abs(np.asarray(found, np.int16) - expected).max() <= 6


@pytest.mark.parametrize("lossless", [True, False])
def test_webp_stays_without_loss_if_it_was(lossless: bool):
    picture = Image.fromarray(np.asarray(Image.fromarray(PIXELS).resize((72, 48), Image.Resampling.BICUBIC)))
    content = saved(picture, "WEBP", lossless=lossless, quality=80)
    with as_stored(Path("x"), content) as stored:
        assert format_words(stored) == ("WebP without loss" if lossless else "WebP at quality 100")
        expected = np.asarray(stored.picture.convert("RGB").crop(CROP), np.int16)
    worst = np.abs(np.asarray(edited(content).convert("RGB"), np.int16) - expected).max()
    assert worst == 0 if lossless else worst < 60


def test_print_colours_stay_in_a_jpeg_and_become_rgb_in_a_png():
    content = saved(Image.fromarray(PIXELS).convert("CMYK"), "JPEG", quality=100)
    assert edited(content).mode == "CMYK" and edited(content, "PNG").mode == "RGB"
    with as_stored(Path("x"), content) as stored:
        assert losses(stored, "PNG") == ["Its print colors (CMYK) become RGB."] and losses(stored, "JPEG") == []
        assert format_words(stored) == "JPEG at quality 98"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animated_image_is_refused_in_words(kind: str):
    frames = [Image.new("RGB", (32, 32), (level, 0, 0)) for level in (0, 128, 255)]
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
    with pytest.raises(PictureError, match="it is animated; save the frame"), as_stored(Path("x"), content):
        pass


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", saved(Image.fromarray(PIXELS), "PNG")[:-60],
                                     saved(Image.fromarray(PIXELS), "JPEG")[:300], b"GIF89a" + bytes(40)])
def test_a_damaged_file_is_refused_in_words(content: bytes):
    with pytest.raises(PictureError, match="cannot be used"), as_stored(Path("x"), content):
        pass


def test_avif_that_cannot_be_written_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(Image.SAVE, "AVIF", raising=False)
    with as_stored(Path("x"), saved(Image.fromarray(PIXELS), "PNG")) as stored:
        avif = stored._replace(format="AVIF")
        for act in (lambda: format_words(avif), lambda: encoded(avif.picture, avif, "AVIF")):
            with pytest.raises(DatasetError, match="Save the result as a new image"):
                act()
