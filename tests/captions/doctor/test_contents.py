"""The doctor counts what the images show, by their tags, and what that means for the training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_lora_train.captions.doctor.contents import about_contents, contents
from lib_lora_train.captions.doctor.report import Finding
from lib_lora_train.captions.editor.editor import CaptionEditor

from ..sets import make_set, names, open_editor


def opened(tmp_path: Path, captions: list[str], name: str = "{}") -> CaptionEditor:
    return open_editor(make_set(tmp_path / "set", {f"{name.format(number)}.png": caption
                                                   for number, caption in enumerate(captions)}))


def findings(editor: CaptionEditor) -> dict[str, Finding]:
    numbers = list(editor.order())
    return {finding.id: finding for finding in about_contents(editor, numbers, contents(editor, numbers))}


def counts(editor: CaptionEditor) -> dict[str, dict[str, int]]:
    return {content.title: {share.name: len(share.numbers) for share in content.shares}
            | {"no tag": len(content.untagged)} for content in contents(editor, list(editor.order()))}


def test_each_kind_is_counted_in_any_spelling_and_what_has_no_tag_too(tmp_path):
    editor = opened(tmp_path, ["penny, 1girl, Upper_Body, smile, standing, white background",
                               "penny, 1girl, portrait, from side, sitting, outdoors, forest",
                               "penny, 1girl, full body, from behind, arms up, standing", "A photo of penny."])
    assert counts(editor) == {
        "Framing": {"upper body": 1, "portrait": 1, "full body": 1, "no tag": 0},
        "View": {"side": 1, "behind": 1, "no tag": 1},
        "Pose": {"standing": 2, "sitting": 1, "arms and hands": 1, "no tag": 0},
        "Expression": {"smiling": 1, "no tag": 2}, "Background": {"plain": 1, "outdoors": 1, "no tag": 1}}


def test_a_set_of_things_has_no_poses(tmp_path):
    editor = opened(tmp_path, ["teapot, white background"] * 9)
    assert list(counts(editor)) == ["Background"]
    assert not {"no-pose", "framing"} & findings(editor).keys()


@pytest.mark.parametrize(("common", "rest", "name", "words"), [
    ("1girl, portrait, standing", "1girl, full body, standing", "framing", "portrait"),
    ("1girl, full body, standing", "1girl, portrait, standing", "framing", "close-ups"),
    ("1girl, simple background, standing", "1girl, forest, standing", "plain-backgrounds", "simple background"),
    ("1girl, anime screencap, standing", "1girl, standing", "one-source", "screenshots"),
    ("1girl, 3d, standing", "1girl, standing", "one-source", "3D renders"),
    ("1girl, red hat, standing", "1girl, standing, red hat", "outfit", "Every image has red hat"),
    ("1girl, belt, standing", "1girl, standing", "outfit", "belt"),
])
def test_what_nearly_all_images_share_is_a_finding(tmp_path, common, rest, name, words):
    editor = opened(tmp_path, [common] * 9 + [rest])
    found = findings(editor)[name]
    assert words in f"{found.title} {found.text} {[group.text for group in found.groups]}"
    mixed = opened(tmp_path / "mixed", [common] * 4 + ["1girl, sitting, night, lower body"] * 5)
    assert name not in findings(mixed)


def test_captions_without_a_pose_are_named(tmp_path):
    editor = opened(tmp_path, ["1girl, standing"] * 6 + ["1girl, smile"] * 3)
    assert names(editor, findings(editor)["no-pose"].numbers) == ["6.png", "7.png", "8.png"]
    assert "no-pose" not in findings(opened(tmp_path / "posed", ["1girl, sitting"] * 9))


def test_marks_are_found_in_captions_and_by_the_tagger(tmp_path):
    editor = opened(tmp_path, ["x, watermark", "x, speech_bubble", "x", "x"])
    file = editor.folder / ".lora_train/confidences.json"
    file.write_text(json.dumps({"2.png": {"artist_name": 0.9, "letterboxed": 0.6}, "3.png": {"signature": 0.2}}))
    found = findings(editor)
    assert {name: names(editor, item.numbers) for name, item in found.items() if name.startswith("marked")} == {
        "marked-text": ["1.png"], "marked-watermark": ["0.png", "2.png"], "marked-border": ["2.png"]}
    assert "may have text" in found["marked-text"].title


def test_names_show_a_source_unless_all_have_them(tmp_path):
    editor = opened(tmp_path, ["1girl, standing"] * 8, "vlcsnap-2024-{}")
    assert "one-source" not in findings(editor)
    make_set(editor.folder, {"own.png": "1girl, sitting", "other.png": "1girl"})
    editor.refresh()
    assert "vlcsnap" in findings(editor)["one-source"].title
    assert "one-source" not in findings(opened(tmp_path / "numbered", ["1girl, standing"] * 9, "image ({})"))
    assert "3D" in findings(opened(tmp_path / "renders", ["1girl, 3d, standing"] * 9))["one-source"].title


@pytest.mark.parametrize(("count", "level", "words"), [(3, "warning", "3 images are few"), (30, "note", "a character,"),
                                                       (60, "note", "a concept"), (100, None, "")])
def test_the_number_of_images_is_set_against_what_can_be_trained(tmp_path, count, level, words):
    editor = opened(tmp_path, ["x"])
    found = {finding.id: finding for finding in about_contents(editor, list(editor.order()) * count, ())}
    few = found.get("few-images")
    assert (few and few.level) == level and words in (few.title if few else "")
