"""A drawn face that OpenCV's frontal cascade takes for one: bright cheeks and nose, dark brows, eyes and mouth."""

from __future__ import annotations

from PIL import Image, ImageDraw


def with_face(size: tuple[int, int], left: int, top: int, side: int) -> Image.Image:
    """A grey picture with a face in the square at ``left``, ``top``, all in pixels."""
    picture = Image.new("RGB", size, (120, 120, 120))
    picture.paste(_face(side), (left, top))
    return picture


def _face(side: int) -> Image.Image:
    face = Image.new("L", (side, side), 90)
    pen, unit = ImageDraw.Draw(face), side / 100

    def oval(left: float, top: float, right: float, bottom: float, grey: int) -> None:
        pen.ellipse([edge * unit for edge in (left, top, right, bottom)], fill=grey)

    oval(15, 5, 85, 100, 200)
    pen.pieslice([15 * unit, -5 * unit, 85 * unit, 55 * unit], 180, 360, fill=60)
    oval(18, 18, 82, 95, 205)
    for eye in (35, 65):
        pen.line([(eye - 11) * unit, 36 * unit, (eye + 11) * unit, 35 * unit], fill=70, width=round(4 * unit))
        oval(eye - 9, 40, eye + 9, 49, 110)
        oval(eye - 4, 41, eye + 4, 48, 30)
    pen.polygon([(50 * unit, 45 * unit), (44 * unit, 64 * unit), (56 * unit, 64 * unit)], fill=185)
    oval(38, 72, 62, 80, 110)
    pen.line([39 * unit, 76 * unit, 61 * unit, 76 * unit], fill=60, width=round(2 * unit))
    return face
