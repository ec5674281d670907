"""Pictures of every kind become upright RGB, and their size is known without decoding them."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_lora_train.pictures import images
from lib_lora_train.pictures.avif import read_avif_header
from lib_lora_train.pictures.buckets import Bucket, Fit
from lib_lora_train.pictures.images import PictureError, check_pictures, fit_to_bucket, open_picture, read_header

from .making import AVIF, AVIF_ALPHA, AVIF_TURNED, noise, save, truncate

LOSSLESS = {".webp": {"lossless": True}, ".jpg": {"quality": 100, "subsampling": 0}}


def pixel(picture, x, y):
    return picture.getpixel((x, y))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.jpeg", "a.webp", "a.bmp", "a.PNG", "a.JpG", "a.WEBP"])
def test_every_kind_of_file_is_read_whatever_the_case_of_its_ending(tmp_path, name):
    original = Image.linear_gradient("L").resize((40, 24)).convert("RGB")
    path = save(tmp_path / name, original, **LOSSLESS.get(Path(name).suffix.lower(), {}))
    opened = open_picture(path)
    assert (opened.mode, opened.size) == ("RGB", (40, 24))
    assert np.abs(np.asarray(opened).astype(int) - np.asarray(original)).max() <= 2
    assert read_header(path) == (40, 24, False)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_a_picture_is_turned_as_its_exif_says(tmp_path, orientation, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.new("RGB", (32, 16), "black")
    upright.paste((255, 0, 0), (0, 0, 8, 8))  # red in the upper left, so that every turn differs
    to_stored = {1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
                 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
                 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270}[orientation]
    stored = upright if to_stored is None else upright.transpose(to_stored)
    path = save(tmp_path / f"a.{ending}", stored, exif=exif.tobytes(), **LOSSLESS.get(f".{ending}", {}))
    opened = open_picture(path)
    assert opened.size == (32, 16)
    assert np.abs(np.asarray(opened).astype(int) - np.asarray(upright)).max() <= 12
    assert read_header(path)[:2] == (32, 16)


def test_damaged_exif_turns_nothing(tmp_path):
    path = save(tmp_path / "a.jpg", noise(40, 24), exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff garbage")
    assert open_picture(path).size == (40, 24)
    assert read_header(path) == (40, 24, False)


def test_exif_behind_the_pixels_of_a_png_turns_neither_the_header_nor_the_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    body = exif.tobytes().removeprefix(b"Exif\x00\x00")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body + struct.pack(">I", zlib.crc32(b"eXIf" + body))
    path = save(tmp_path / "a.png", noise(40, 24))
    content = path.read_bytes()
    path.write_bytes(content[:-12] + chunk + content[-12:])
    assert read_header(path)[:2] == open_picture(path).size == (40, 24)


def test_transparency_is_laid_over_white(tmp_path):
    picture = Image.new("RGBA", (16, 16), (0, 0, 255, 0))
    picture.paste((255, 0, 0, 255), (0, 0, 8, 16))
    picture.paste((0, 0, 0, 128), (8, 8, 16, 16))
    for name in ("a.png", "b.webp"):
        path = save(tmp_path / name, picture, **LOSSLESS.get(Path(name).suffix, {}))
        opened = open_picture(path)
        assert pixel(opened, 2, 2) == (255, 0, 0)
        assert pixel(opened, 12, 2) == (255, 255, 255)
        assert pixel(opened, 12, 12) == (127, 127, 127)
        assert read_header(path).has_alpha


def test_grey_with_alpha(tmp_path):
    picture = Image.new("LA", (16, 16), (0, 0))
    picture.paste((40, 255), (0, 0, 8, 16))
    opened = open_picture(save(tmp_path / "a.png", picture))
    assert pixel(opened, 2, 2) == (40, 40, 40)
    assert pixel(opened, 12, 2) == (255, 255, 255)


def test_palette_with_a_clear_colour(tmp_path):
    picture = Image.new("P", (16, 16), 0)
    picture.putpalette([0, 255, 0, 200, 10, 20] + [0] * 12)
    picture.paste(1, (0, 0, 8, 16))
    plain, clear = save(tmp_path / "plain.png", picture), save(tmp_path / "clear.png", picture, transparency=0)
    assert pixel(open_picture(plain), 12, 2) == (0, 255, 0)
    assert pixel(open_picture(clear), 12, 2) == (255, 255, 255)
    assert pixel(open_picture(clear), 2, 2) == (200, 10, 20)
    assert (read_header(plain).has_alpha, read_header(clear).has_alpha) == (False, True)


def test_palette_with_degrees_of_alpha(tmp_path):
    picture = Image.new("P", (16, 16), 0)
    picture.putpalette([0, 0, 0, 0, 0, 0] + [0] * 12)
    picture.paste(1, (0, 0, 8, 16))
    opened = open_picture(save(tmp_path / "a.png", picture, transparency=bytes([255, 51])))
    assert pixel(opened, 12, 2) == (0, 0, 0)
    assert pixel(opened, 2, 2) == (204, 204, 204)


def test_one_colour_of_rgb_as_clear(tmp_path):
    picture = Image.new("RGB", (16, 16), (1, 2, 3))
    picture.paste((9, 9, 9), (0, 0, 8, 16))
    opened = open_picture(save(tmp_path / "a.png", picture, transparency=(1, 2, 3)))
    assert pixel(opened, 12, 2) == (255, 255, 255)
    assert pixel(opened, 2, 2) == (9, 9, 9)


@pytest.mark.parametrize("mode", ["1", "L"])
@pytest.mark.parametrize("ending", ["png", "bmp"])
def test_black_and_white_and_grey(tmp_path, mode, ending):
    picture = Image.new(mode, (16, 16), 0)
    picture.paste(255, (0, 0, 8, 16))
    opened = open_picture(save(tmp_path / f"a.{ending}", picture))
    assert (pixel(opened, 2, 2), pixel(opened, 12, 2)) == ((255, 255, 255), (0, 0, 0))


def test_cmyk(tmp_path):
    cyan, black = (255, 0, 0, 0), (0, 0, 0, 255)
    picture = Image.new("CMYK", (32, 16), cyan)
    picture.paste(black, (0, 0, 16, 16))
    opened = open_picture(save(tmp_path / "a.jpg", picture, quality=100, subsampling=0))
    assert opened.mode == "RGB"
    assert np.abs(np.asarray(pixel(opened, 28, 8)) - (0, 255, 255)).max() <= 3
    assert np.abs(np.asarray(pixel(opened, 4, 8)) - (0, 0, 0)).max() <= 3


def sixteen_bit_png(rows: np.ndarray, clear: int | None = None) -> bytes:
    """A PNG of 16 bits of grey, written by hand, since Pillow of the webui writes none with a clear colour."""
    height, width = rows.shape

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    pixels = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in rows)
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0))]
    if clear is not None:
        parts.append(chunk(b"tRNS", struct.pack(">H", clear)))
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")])


def test_sixteen_bits_of_grey_are_scaled_and_not_cut_off(tmp_path):
    values = np.linspace(0, 65535, 16 * 17).astype(np.uint16).reshape(16, 17)
    path = tmp_path / "a.png"
    path.write_bytes(sixteen_bit_png(values))
    opened = np.asarray(open_picture(path))
    assert np.abs(opened[:, :, 0] - values / 257).max() <= 0.5
    assert (opened[:, :, 0] == opened[:, :, 2]).all()
    path.write_bytes(sixteen_bit_png(values, clear=int(values[0, 3])))
    assert pixel(open_picture(path), 3, 0) == (255, 255, 255)
    assert read_header(path).has_alpha


def test_sixteen_bits_of_rgb(tmp_path):
    rows = np.full((16, 16 * 3), 0x8000, dtype=np.uint16)
    data = sixteen_bit_png(rows)
    header = struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(data[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + data[33:])
    assert pixel(open_picture(path), 5, 5) == (128, 128, 128)


def test_a_picture_of_another_kind_is_refused_whatever_its_ending(tmp_path):
    buffer = io.BytesIO()
    noise().save(buffer, "GIF")
    path = tmp_path / "a.png"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(PictureError, match="it is really a GIF file") as caught:
        read_header(path)
    assert str(path) in str(caught.value)


def test_a_jpeg_called_png_is_fine(tmp_path):
    save(tmp_path / "a.jpg", noise(40, 24)).rename(tmp_path / "a.png")
    assert open_picture(tmp_path / "a.png").size == (40, 24)


@pytest.mark.parametrize("ending", ["webp", "png"])
def test_an_animated_picture_is_refused(tmp_path, ending):
    path = save(tmp_path / f"a.{ending}", noise(seed=1), save_all=True, append_images=[noise(seed=2)], duration=100)
    for read in (read_header, open_picture):
        with pytest.raises(PictureError, match="it is animated; save the frame"):
            read(path)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp"])
def test_a_truncated_picture_is_found_by_decoding(tmp_path, ending):
    path = truncate(save(tmp_path / f"a.{ending}", noise(200, 200)), 0.6)
    with pytest.raises(PictureError, match="truncated|damaged"):
        open_picture(path)
    with pytest.raises(PictureError, match="truncated|damaged"):
        open_picture(path, path.read_bytes())


def test_a_flipped_byte_in_a_png_is_found(tmp_path):
    path = save(tmp_path / "a.png", noise(100, 100))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    assert [problem.path for problem in check_pictures([path])] == [path]


def test_what_is_no_picture_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("not an image")
    with pytest.raises(PictureError, match="it is not an image"):
        read_header(path)
    with pytest.raises(PictureError, match="No such file"):
        read_header(tmp_path / "gone.png")


def test_a_picture_too_small_for_one_latent_pixel_is_refused(tmp_path):
    assert read_header(save(tmp_path / "a.png", noise(8, 8)))[:2] == (8, 8)
    with pytest.raises(PictureError, match="it is only 300x7 pixels"):
        read_header(save(tmp_path / "b.png", noise(300, 7)))


def test_a_picture_of_too_many_pixels_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(PictureError, match="more pixels than can be opened safely"):
        read_header(save(tmp_path / "a.png"))


def test_all_damaged_pictures_are_reported_at_once_and_progress_is_shown(tmp_path):
    paths = [save(tmp_path / f"{number}.png", noise(100, 100, seed=number)) for number in range(6)]
    for number in (1, 4):
        truncate(paths[number])
    seen = []
    problems = check_pictures(paths, progress=lambda done, total: seen.append((done, total)))
    assert [problem.path for problem in problems] == [paths[1], paths[4]]
    assert seen == [(done, 6) for done in range(1, 7)]
    text = str(images.damaged_pictures_error(problems))
    assert text.startswith("2 images cannot be decoded") and str(paths[1]) in text and str(paths[4]) in text


def test_the_header_of_a_png_is_read_without_decoding_it(tmp_path):
    path = truncate(save(tmp_path / "a.png", noise(400, 300)), 0.1)
    assert read_header(path) == (400, 300, False)


def test_fitting_scales_and_cuts_out_the_centre():
    picture = Image.new("RGB", (400, 200), "black")
    picture.paste((255, 255, 255), (100, 0, 300, 200))
    fitted = fit_to_bucket(picture, Fit(Bucket(64, 64), 128, 64))
    assert fitted.size == (64, 64)
    assert np.asarray(fitted)[:, 4:-4].min() == 255


AVIF_FILES = {"plain": (AVIF, (48, 32, False)), "turned": (AVIF_TURNED, (32, 48, False)),
              "alpha": (AVIF_ALPHA, (48, 32, True))}


@pytest.mark.parametrize("kind", AVIF_FILES)
def test_the_size_of_an_avif_is_known_with_any_pillow(tmp_path, kind):
    content, expected = AVIF_FILES[kind]
    path = tmp_path / "a.AVIF"
    path.write_bytes(content)
    assert tuple(read_header(path)) == expected
    assert tuple(read_avif_header(path.open("rb"))) == (*expected, False)


@pytest.mark.parametrize("kind", AVIF_FILES)
def test_an_avif_is_decoded_or_said_to_be_readable_in_training_only(tmp_path, kind):
    content, expected = AVIF_FILES[kind]
    path = tmp_path / "a.avif"
    path.write_bytes(content)
    if not images._avif_is_readable():
        with pytest.raises(PictureError, match="cannot read AVIF; the training itself can"):
            open_picture(path)
        return
    opened = open_picture(path)
    assert opened.size == expected[:2]
    dark, light = (opened.getpixel((24, 2)), opened.getpixel((24, 29))) if kind != "turned" else \
        (opened.getpixel((29, 24)), opened.getpixel((2, 24)))  # turned to the right, so its top is at the right
    assert light[0] > 230
    assert dark[0] > 200 if kind == "alpha" else dark[0] < 40  # what is clear is white


def test_without_an_avif_decoder_animation_and_damage_are_detected_from_the_boxes(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "_avif_is_readable", lambda: False)
    path = tmp_path / "a.avif"
    path.write_bytes(AVIF[:8] + b"avis" + AVIF[12:])
    with pytest.raises(PictureError, match="it is animated"):
        read_header(path)
    for content, reason in ((AVIF[:100], "damaged|no size|no AVIF"), (b"hello" * 20, "no AVIF boxes"),
                            (AVIF.replace(b"ispe", b"iXpe"), "name no size")):
        path.write_bytes(content)
        with pytest.raises(PictureError, match=reason):
            read_header(path)
    path.write_bytes(AVIF)
    with pytest.raises(PictureError, match="the training itself can"):
        open_picture(path)


@pytest.mark.parametrize("cut", range(0, len(AVIF_ALPHA), 7))
def test_an_avif_cut_anywhere_never_breaks_the_reader(tmp_path, cut):
    path = tmp_path / "a.avif"
    path.write_bytes(AVIF_ALPHA[:cut])
    try:
        header = read_avif_header(path.open("rb"))
    except ValueError:
        return
    assert (header.width, header.height) == (48, 32)
