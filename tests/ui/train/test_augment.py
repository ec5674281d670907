"""The preview of augmentation on the user's pictures."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image


def preview(tab, path="0.png", **settings):
    return tab.post("augment/preview", {"folder": str(tab.dataset), "path": path, "settings": settings, "seed": 3})


def test_versions_come_as_pictures_of_the_buckets_shape(tab):
    answer = preview(tab, flip_aug=True, color_aug=True)
    assert answer.status_code == 200, answer.text
    versions = [Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) for uri in answer.json()["pictures"]]
    assert len(versions) == 8 and len({version.size for version in versions}) == 1
    assert answer.json() == preview(tab, flip_aug=True, color_aug=True).json()


@pytest.mark.parametrize(("path", "settings", "words"), [
    ("../outside.png", {}, "is not a name inside"),
    ("gone.png", {}, "cannot be opened: No such file"),
    ("0.png", {"face_crop_aug_range": "4,2"}, "face_crop_aug_range is '4,2'"),
    ("0.png", {"resolution": "x"}, "dataset.resolution is 'x'"),
    ("0.png", {"flips": True}, "no setting 'flips'"),
])
def test_what_cannot_be_shown_is_reported(tab, path, settings, words):
    answer = preview(tab, path, **settings)
    assert answer.status_code == 400 and words in answer.json()["error"]
