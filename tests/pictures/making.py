"""Real pictures and folders of them, made for a test."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from lib_lora_train.config.groups.dataset import DatasetSettings

AVIF = base64.b64decode(
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUIAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAAAAAAAOcGl0"
    "bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAAAOQAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEAAGF2MDFDb2xvcgAAAABqaXBy"
    "cAAAAEtpcGNvAAAAFGlzcGUAAAAAAAAAMAAAACAAAAAQcGl4aQAAAAADCAgIAAAADGF2MUOBAAwAAAAAE2NvbHJuY2x4AAEADQAGgAAAABdpcG1h"
    "AAAAAAAAAAEAAQQBAoMEAAAAQW1kYXQSAAoJGBUv+0QENBoQMioax4eF4cwwwwKEQADxlvZxgLujNZJiuZKlhV3w2Vni8ppOFnCZZf8PEag=")
"""48x32, black at the top to white at the bottom, as Pillow 13 writes it."""

AVIF_TURNED = base64.b64decode(
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUIAAAD1bWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAAAAAAAOcGl0"
    "bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAEdAAAAOQAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEAAGF2MDFDb2xvcgAAAAB0aXBy"
    "cAAAAFRpcGNvAAAAFGlzcGUAAAAAAAAAMAAAACAAAAAQcGl4aQAAAAADCAgIAAAADGF2MUOBAAwAAAAAE2NvbHJuY2x4AAEADQAGgAAAAAlpcm90"
    "AwAAABhpcG1hAAAAAAAAAAEAAQUBAoMEhQAAAEFtZGF0EgAKCRgVL/tEBDQaEDIqGseHheHMMMMChEAA8Zb2cYC7ozWSYrmSpYVd8NlZ4vKaThZw"
    "mWX/DxGo")
"""The same with EXIF orientation 6, which is kept as a turn of 270 degrees: seen, it is 32x48."""

AVIF_ALPHA = base64.b64decode(
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUIAAAGGbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAAAAAAAOcGl0"
    "bQAAAAAAAQAAACxpbG9jAAAAAEQAAAIAAQAAAAEAAAHaAAAAOQACAAAAAQAAAa4AAAAsAAAAQmlpbmYAAAAAAAIAAAAaaW5mZQIAAAAAAQAAYXYw"
    "MUNvbG9yAAAAABppbmZlAgAAAAACAABhdjAxQWxwaGEAAAAAGmlyZWYAAAAAAAAADmF1eGwAAgABAAEAAADDaXBycAAAAJ1pcGNvAAAAFGlzcGUA"
    "AAAAAAAAMAAAACAAAAAQcGl4aQAAAAADCAgIAAAADGF2MUOBAAwAAAAAE2NvbHJuY2x4AAEADQAGgAAAAA5waXhpAAAAAAEIAAAADGF2MUOBABwA"
    "AAAAOGF1eEMAAAAAdXJuOm1wZWc6bXBlZ0I6Y2ljcDpzeXN0ZW1zOmF1eGlsaWFyeTphbHBoYQAAAAAeaXBtYQAAAAAAAAACAAEEAQKDBAACBAEF"
    "hgcAAABtbWRhdBIACgYYFS/7CoAyIBmAQQEA8TRHhqtbJED0VejUV9GN53ThB6VHHJkUBfe/EgAKCRgVL/tEBDQaEDIqGseHheHMMMMChEAA8Zb2"
    "cYC7ozWSYrmSpYVd8NlZ4vKaThZwmWX/DxGo")
"""The same with an alpha plane."""


def noise(width: int = 64, height: int = 48, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """A picture of random pixels, so that files are of a real size and no two are alike."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(values[:, :, 0] if channels == 1 else values, mode="L" if channels == 1 else None) \
        if mode != "CMYK" else Image.fromarray(values, mode="CMYK")


def save(path: Path, picture: Image.Image | None = None, caption: str | None = None, **options: object) -> Path:
    """Write ``picture``, of noise if it is not given, and its caption; returns ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP", ".gif": "GIF"}
    buffer = io.BytesIO()
    (picture or noise(seed=sum(path.name.encode()))).save(buffer, kinds[path.suffix.lower()], **options)
    path.write_bytes(buffer.getvalue())
    if caption is not None:
        path.with_suffix(".txt").write_text(caption, encoding="utf-8")
    return path


def truncate(path: Path, share: float = 0.5) -> Path:
    """Cut off the end of a file."""
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * share)])
    return path


def settings(folder: Path, **values: object) -> DatasetSettings:
    """Settings for ``folder``, the rest as by default."""
    return DatasetSettings(train_data_dir=str(folder), **values)  # type: ignore[arg-type]
