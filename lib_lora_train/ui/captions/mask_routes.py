"""Routes of the masks in the caption editor: show, paint and remove them, and preview an automatic one."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np
from fastapi import APIRouter
from fastapi.responses import FileResponse, Response
from PIL import Image

from ...captions.editor.editor import CaptionEditor
from ...captions.editor.index import Entry
from ...captions.editor.masks import remove_masks, save_mask
from ...config.groups.masking import FACE, SUBJECT, MaskMethodSettings
from ...config.load import read_settings
from ...config.mask_job import MaskJob
from ...errors import ConfigError, DatasetError
from ...files.confine import open_inside
from ...pictures.faces import FaceDetector
from ...pictures.images import decoded, read_header
from ...pictures.masks.automatic import made_mask
from ...pictures.masks.overlay import overlay_of, tinted
from ...pictures.masks.read import open_mask
from ...pictures.masks.shape import method_of_file, png_of
from ...pictures.thumbnails import thumbnail
from ..access import dataset_folder
from ..pictures import data_url
from ..services import THUMBNAILS, Services
from .answers import Find, edit, respond
from .editors import CaptionEditors, Session
from .requests import MaskPreviewRequest, MaskRequest, NumbersRequest, named

_PREVIEW_SIDE = 512
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}


def register_masks(router: APIRouter, services: Services, editors: CaptionEditors, find: Find) -> None:
    """Add ``/captions/mask/save``, ``remove``, ``preview`` and ``facts``, and the images of masks."""
    def save(request: MaskRequest) -> Response:
        return edit(find, request, lambda editor: save_mask(editor, request.number, _png(request.png), request.seen))

    def remove(request: NumbersRequest) -> Response:
        numbers = named(request)
        return edit(find, request, lambda editor: remove_masks(editor, numbers))

    def preview(request: MaskPreviewRequest) -> Response:
        return respond(find, request, lambda session: previewed(session, request))

    def facts(request: NumbersRequest) -> Response:
        return respond(find, request, lambda session: facts_of(session.editor, request.numbers))

    def overlay(folder: str, session: str, path: str, size: int = 256) -> Response:
        editor = editors.session(dataset_folder(services.host, folder), session).editor
        entry = _masked(editor, path)
        width, height = _size(editor, entry)
        with open_inside(editor.folder, entry.file.mask) as file:
            small = thumbnail(editor.folder / entry.file.mask, file, size, services.cache_dir / THUMBNAILS,
                              overlay_of(editor.folder / path, (width, height)), f"mask of {width}x{height}")
        return FileResponse(small, media_type="image/webp", headers=_FOREVER)

    def whole(folder: str, session: str, path: str) -> Response:
        editor = editors.session(dataset_folder(services.host, folder), session).editor
        entry = _masked(editor, path)
        size = _size(editor, entry)
        with open_inside(editor.folder, entry.file.mask) as file:
            mask = open_mask(editor.folder / entry.file.mask, editor.folder / path, size, file)
        return Response(png_of(mask), media_type="image/png", headers=_FOREVER)

    for name, act in (("save", save), ("remove", remove), ("preview", preview), ("facts", facts)):
        router.add_api_route(f"/captions/mask/{name}", act, methods=["POST"])
    router.add_api_route("/captions/mask-overlay", overlay, methods=["GET"])
    router.add_api_route("/captions/mask-image", whole, methods=["GET"])


def previewed(session: Session, request: MaskPreviewRequest) -> dict[str, Any]:
    """Return the automatic mask of one image as a PNG and as an overlay, and the share of the image that is trained.

    Raises ``NoMaskError`` if there is none, and ``ConfigError`` if a setting is wrong or the method needs a run.
    """
    editor = session.editor
    settings = mask_settings(request.mask)
    if settings.method == SUBJECT:
        raise ConfigError("mask.method is subject, whose model runs in the worker. Preview it with a run.")
    faces = FaceDetector("Masks of faces need", "Choose another method.") if settings.method == FACE else None
    with editor.lock:
        entry = editor.entry(request.number)
    with open_inside(editor.folder, entry.path) as file, decoded(editor.folder / entry.path, file) as picture:
        mask = made_mask(settings, picture, editor.folder / entry.path, faces)
    return mask_answer(mask)


def mask_answer(mask: Image.Image) -> dict[str, Any]:
    """Return ``mask`` for the page: whole, as a small overlay, and its trained share."""
    share = float(np.asarray(mask, np.float32).mean() / 255)
    small = mask.copy()
    small.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE), Image.Resampling.BOX)
    return {"mask": data_url(mask.convert("L")), "share": share, "overlay": data_url(tinted(small))}


def facts_of(editor: CaptionEditor, numbers: list[int] | None) -> dict[str, int]:
    """Return how many of the images ``numbers`` (all by default) have a mask, and how many of these a run made."""
    with editor.lock:
        entries = [entry for number in (numbers if numbers is not None else editor.order())
                   if (entry := editor.index.entries.get(number)) is not None]
    masks = [entry.file.mask for entry in entries if entry.file.mask]
    return {"images": len(entries), "masks": len(masks),
            "automatic": sum(bool(method_of_file(editor.folder, mask)) for mask in masks)}


def mask_settings(values: dict[str, Any]) -> MaskMethodSettings:
    """Return the panel's settings of a method. Raises ``ConfigError`` that lists every problem."""
    job, problems = read_settings(MaskJob, {"mask": values}, source="The form")
    if problems:
        raise ConfigError(problems)
    return job.mask


def _masked(editor: CaptionEditor, path: str) -> Entry:
    entry = editor.index.of_path(path)
    if entry is None:
        raise DatasetError(f"{path[:200]!r} is not an image of this dataset.")
    if not entry.file.mask:
        raise DatasetError(f"{entry.name} has no mask.")
    return entry


def _size(editor: CaptionEditor, entry: Entry) -> tuple[int, int]:
    if entry.width:
        return entry.width, entry.height
    with open_inside(editor.folder, entry.path) as file:
        header = read_header(editor.folder / entry.path, file)
    return header.width, header.height


def _png(text: str) -> bytes:
    """The bytes of a PNG in base64, with or without the head of a data URL. Raises ``DatasetError``."""
    try:
        return base64.b64decode(text.rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError) as problem:
        raise DatasetError("The mask was damaged on the way: it is not base64. Save it again.") from problem
