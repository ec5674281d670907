"""No folder of the user's is left in a published text, however it is written and whatever it stands in."""

from __future__ import annotations

import base64
import io
import itertools
import json
import random
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image, PngImagePlugin

from lib_lora_train.files.safetensors_header import read_safetensors_header
from lib_lora_train.ui.tools.publish.paths import PrivateFolders, without_paths
from lib_lora_train.ui.tools.publish.private import private_changes
from tests.standin.lora_file import write_lora

SECRET = "zzannlee"
FOLDERS = ["a, b", "a; b", "a (2)", "a [x", "a)b", "my {set}", "o'neil", "v1.5", "10_penny", "ä", "a & b", "#1", "a=b",
           "50%"]
STARTS = {"/home/{}/": "/", "/mnt/d/{}/": "/", "/data/{}/": "/", "C:\\Users\\{}\\": "\\", "D:\\{}\\": "\\",
          "e:/{}/": "/", "\\\\nas\\{}\\": "\\", "//nas/{}/": "/", "\\\\?\\C:\\{}\\": "\\",
          "\\\\?\\UNC\\nas\\{}\\": "\\",
          "~/{}/": "/", "$HOME/{}/": "/", "${{HOME}}/{}/": "/", "%USERPROFILE%\\{}\\": "\\", "$env:APPDATA\\{}\\": "\\",
          "%LOCALAPPDATA%/{}/": "/", "../{}/": "/", "..\\{}\\": "\\", "file:///home/{}/": "/", "file://nas/{}/": "/",
          "smb://nas/{}/": "/", "/Users/{}/": "/", "/Volumes/{}/": "/", "/c/Users/{}/": "/"}
AROUND = ["{}", "see {} there", "a, {}, b", "({})", '"{}"', "'{}'", "dir={}", "[x]({})", "--dir={} --b", "# {}",
          "a:\n  - {} # b"]
STUCK = ["-I/home/{}/x.png", "-L/data/{}/x.png", "at/Users/{}/x.png", "-IC:\\{}\\x.png", "seeC:\\Users\\{}\\x.png",
         "http://127.0.0.1:7860/file=/home/{}/x.png", "http://localhost/file=C:/{}/x.png", "</home/{}/x.png>",
         "https://a.b/?f=%2Fhome%2F{}%2Fx.png", "C%3A%5CUsers%5C{}%5Cx.png", ")/home/{}/x.png", "\\??\\C:\\{}\\x.png"]


@pytest.mark.parametrize("start", STARTS)
def test_no_part_of_a_path_but_the_last_is_left(start: str):
    for folder, around in itertools.product(FOLDERS, AROUND):
        if "file:" in start and folder == "50%":
            continue
        path = start.format(SECRET) + f"{folder}{STARTS[start]}{SECRET} sets{STARTS[start]}x y.png"
        for written in (path, path.replace("\\", "\\\\")):
            shown = without_paths(around.format(written))
            assert SECRET not in shown and "x y.png" in shown, (written, shown)
            assert folder not in shown.replace("a, b", "", around == "a, {}, b"), (written, shown)


@pytest.mark.parametrize("text", STUCK)
def test_a_path_that_is_stuck_to_a_word_is_found(text: str):
    shown = without_paths(text.format(SECRET))
    assert SECRET not in shown and "x.png" in shown


@pytest.mark.parametrize("text", [
    "1girl, :/, red/blue eyes", "\\m/, ^_^, =/", "penny \\(cat\\), style \\(x\\)/y",
    "https://civitai.com/models/1/home/x y/z",
    "see http://a.b:80/c d/e", "and/or 1/2, km/h", "<lora:a:1> </b> <br/>", "a | b/c", "(red:1.2)/x", "20% / 30%",
    "${hair}/blue", "5$/month", "{a|b}/c", "10:30/11:00", "w/o x", "/\\/\\/\\ hair", "...", "a.../b"])
def test_texts_without_a_path_stay(text: str):
    assert without_paths(text) == text


@pytest.mark.parametrize("folder", ["/home/Ann, Lee (x)", "/zz; my data/Ann's \"sets\"", "C:\\Users\\Ann, Lee",
                                    "\\\\nas\\ann [x]", "/annlee", "/home/zoë lee"])
@pytest.mark.parametrize("around", ["in {}", "in {}/sets, a/x.png", "at{}/x.png", "see http://h/file={}/x.png", "'{}'",
                                    "[{}]", "Made in {}, then/now", "in {}\\x.png"])
def test_known_folders_are_found_in_every_way_to_write_them(folder: str, around: str):
    known = PrivateFolders.of([Path("/"), "", "C:\\", "penny", folder])
    last = folder.replace("\\", "/").split("/")[-1]
    if folder == "/annlee" and around.startswith("at"):
        return  # it could be the last word of "at/annlee"
    for written in (folder, folder.upper(), folder.replace("\\", "/"), folder.replace("\\", "\\\\"), quote(folder),
                    quote(folder, safe=""), json.dumps(folder)[1:-1],
                    folder.replace("C:\\", "/mnt/c/").replace("\\", "/")):
        shown = without_paths(around.format(written), known).lower()
        assert last.lower() not in shown and quote(last).lower() not in shown, (written, shown)
        assert "ann" not in shown.replace("channel", "") and "sets" not in shown.replace("a/x", ""), (written, shown)
    near = f"{folder}abel"
    assert known.cut(near) == near


def test_paths_in_json_within_json_and_in_names_of_entries():
    inner = json.dumps({"dir": f"C:\\Users\\{SECRET}\\x.png", "é": f"/home/{SECRET}/a;b/y", "list": [f"~/{SECRET}/z"]})
    metadata = {"workflow": json.dumps({"nodes": json.dumps({"again": inner})}), f"/home/{SECRET}/k": "1",
                "text": f'he wrote {{"dir": "D:\\\\{SECRET}\\\\x.png"}} and {inner}', "sshs_note": f"/home/{SECRET}/x",
                "two": json.dumps({f"/a/{SECRET}/x": 1, f"/b/{SECRET}/x": 2}), "yaml": f"a: 1  # /home/{SECRET}/x.png",
                "data": f"data: /home/{SECRET}/x", "sshs_model_hash": "ab" * 32}
    changes, said = private_changes(metadata, without_dataset=False)
    after = {**metadata, **changes}
    assert SECRET not in json.dumps(after) or after[f"/home/{SECRET}/k"] is None
    assert SECRET not in "".join(value or "" for value in after.values())
    again = json.loads(json.loads(json.loads(after["workflow"])["nodes"])["again"])
    assert again == {"dir": "x.png", "é": "y", "list": ["z"]}
    assert list(json.loads(after["two"]).values()) == [1, 2] and after["sshs_model_hash"] == "ab" * 32
    assert len(said) == 2


def test_a_name_in_json_within_json(monkeypatch):
    monkeypatch.setattr("lib_lora_train.ui.tools.publish.private.home", lambda: [Path("/home/José")])
    value = json.dumps({"a": json.dumps({"who": "José", "Jose\u0301": 1})})
    changes, said = private_changes({"x": value}, without_dataset=False)
    assert json.loads(json.loads(changes["x"])["a"]) == {"who": "user", "user": 1} and "José" in said[-1]


def test_images_in_metadata_have_pixels_only():
    def data_url(kind: str, **options) -> str:
        content = io.BytesIO()
        Image.new("RGB", (16, 16), "red").save(content, kind, **options)
        return f"data:image/{kind.lower()};base64,{base64.b64encode(content.getvalue()).decode()}"

    exif = Image.Exif()
    exif[0x9286] = f"/home/{SECRET}/x".encode()
    about = PngImagePlugin.PngInfo()
    about.add_text("workflow", f"/home/{SECRET}/x")
    metadata = {"exif": data_url("JPEG", exif=exif), "comment": data_url("JPEG", comment=SECRET.encode()),
                "png": data_url("PNG", pnginfo=about), "webp": data_url("WEBP", exif=exif), "plain": data_url("JPEG"),
                "none": "data:text/plain;base64," + base64.b64encode(SECRET.encode()).decode()}
    changes, said = private_changes(metadata, without_dataset=False)
    assert set(changes) == {"exif", "comment", "png", "webp", "none"} and changes["none"] is None and len(said) == 1
    for name in ("exif", "comment", "png", "webp"):
        content = base64.b64decode(changes[name].partition(",")[2])
        picture = Image.open(io.BytesIO(content))
        assert SECRET.encode() not in content and picture.size == (16, 16) and picture.getpixel((8, 8))[0] > 200


def test_hostile_texts_take_no_time():
    generator = random.Random(3)
    pieces = ["a.", "/", "\\", "%2f", "C:\\a ", "~", '"C:\\a ', "'/a/", "ab:\\x ", "$A/", "%a%\\", "//x", "http://",
              "-/", "../", "a:/", " ", "\\\\a\\b"]
    known = PrivateFolders.of(["/home/ann/x", "C:\\Users\\ann"])
    for text in [piece * (20_000 // len(piece)) for piece in pieces] + [
            "".join(generator.choices(pieces, k=7000)) for _ in range(6)]:
        began = time.process_time()
        without_paths(text, known)
        assert time.process_time() - began < 2, text[:40]


def test_the_card_says_before_the_folder_is_made_what_stays_and_what_is_left_out(tab, monkeypatch):
    private = "lib_lora_train.ui.tools.publish.private"
    monkeypatch.setattr(f"{private}.home", lambda: [Path(f"/home/{SECRET}")])
    monkeypatch.setattr(f"{private}.getpass.getuser", lambda: "root")
    data = str(tab.data)
    lora = write_lora(tab.services.host.lora_dir / "x.safetensors", {
        "ss_training_comment": f"{data}, good", "ss_optimizer": f"see{data}/sets, b/y", "ss_tag_frequency": "{}"})
    with Image.open(io.BytesIO(_jpeg(f"{data}/p"))) as picture:
        picture.save(lora.with_suffix(".jpg"), exif=picture.getexif())
    body = {"name": "x", "trigger": "penny", "title": f"by {SECRET}", "credits": f"-I{data}/a/b", "cover": "preview",
            "description": f"made in {data}/my, sets/x.png\nby {SECRET}"}
    card = tab.post("tools/publish/card", body).json()
    assert any("the title and the description" in line and SECRET in line for line in card["left_out"])
    assert any("ss_tag_frequency" in line for line in card["left_out"])
    assert any("The folders in paths" in line and "ss_training_comment" in line for line in card["left_out"])
    made = tab.post("tools/publish/folder", body).json()
    assert made["left_out"] == card["left_out"]
    assert not any("ss_tag_frequency" in line for line in tab.post(
        "tools/publish/card", {**body, "without_dataset": False}).json()["left_out"])
    folder = Path(made["folder"])
    assert (folder / "README.md").read_text(encoding="utf-8") == card["markdown"]
    for content in (file.read_bytes() for file in folder.rglob("*") if file.is_file()):
        assert data.encode() not in content and b"my, sets" not in content
    assert read_safetensors_header(folder / "x.safetensors").metadata["ss_training_comment"] == "…, good"
    assert all(data not in change["after"] for change in card["changes"])
    (lora.parent / "old.pt").write_bytes(b"x")
    assert "old kind of file" in tab.post("tools/publish/card", {"name": "old.pt"}).json()["left_out"][0]


def _jpeg(comment: str) -> bytes:
    content, exif = io.BytesIO(), Image.Exif()
    exif[0x9286] = exif[0x010E] = comment
    Image.new("RGB", (32, 32), "blue").save(content, "JPEG", exif=exif)
    return content.getvalue()
