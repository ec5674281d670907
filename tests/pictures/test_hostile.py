"""No picture takes more memory or time than a large one may, whatever the process's own limits are set to."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from lib_lora_train.pictures import images, limits
from lib_lora_train.pictures.images import PictureError, decoded, open_picture, read_header, read_picture_file
from lib_lora_train.pictures.thumbnails import thumbnail
from tests.figures import figure

from .hostile import hostile
from .making import noise, save

ROOT = Path(__file__).resolve().parents[2]
HARMLESS = {"open_picture png of 60,000 texts.png"}
"""Much text and a small picture: it may be read, as long as it takes neither time nor memory."""
MEASURE = """
import json, sys, time
from pathlib import Path
from PIL import Image
from lib_lora_train.pictures.images import PictureError, open_picture, read_header
Image.MAX_IMAGE_PIXELS = None
Image.init()
def most_kb(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))
answers = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    for read in (read_header, open_picture):
        open("/proc/self/clear_refs", "w").write("5")  # from here on VmHWM is the most that this picture alone took
        before, started = most_kb("VmRSS"), time.process_time()
        try:
            size = read(path)
            answer = [size.width, size.height]
        except PictureError as problem:
            answer = problem.reason
        grown = most_kb("VmHWM") - before
        answers[f"{read.__name__} {path.name}"] = [answer, grown / 1024, time.process_time() - started]
print(json.dumps(answers))
"""


@functools.cache
def hostile_pictures() -> dict[str, bytes]:
    return dict(hostile())


needs_proc = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux says the most memory")


def measured(folder: Path) -> dict[str, tuple[object, float, float]]:
    """What reading each file in a process of its own answers, by how many MB it grew and how many seconds of a core
    it took."""
    done = subprocess.run([sys.executable, "-c", MEASURE, str(folder)], cwd=ROOT, capture_output=True, text=True,
                          env={"PYTHONPATH": ":".join(sys.path), "PATH": ""})
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@needs_proc
def test_the_measure_sees_each_picture_alone(tmp_path: Path):
    """A large picture before a small one does not hide how much the small one takes, and is seen itself."""
    Image.new("RGB", (4000, 4000)).save(tmp_path / "1.png")
    Image.new("RGB", (1000, 1000)).save(tmp_path / "2.png")
    found = {name: grown for name, (_, grown, _) in measured(tmp_path).items()}
    assert found["open_picture 1.png"] > 45 and 2 < found["open_picture 2.png"] < 30
    assert found["read_header 1.png"] < 10


@needs_proc
def test_fifty_six_hostile_pictures_are_refused_with_a_reason_at_once_and_with_pillows_limit_off(tmp_path: Path):
    assert len(hostile_pictures()) >= 56
    for name, content in hostile_pictures().items():
        (tmp_path / name).write_bytes(content)
    with figure("hostile pictures") as counted:
        answers = measured(tmp_path)
        counted.tried = len(hostile_pictures())
    taken = {name: answer for name, (answer, _, _) in answers.items()
             if name.startswith("open_picture") and not isinstance(answer, str) and name not in HARMLESS}
    large = {name: round(grown) for name, (_, grown, _) in answers.items() if grown > 400}
    slow = {name: round(seconds) for name, (_, _, seconds) in answers.items() if seconds > 20}
    assert (taken, large, slow) == ({}, {}, {})
    assert all(isinstance(answer, list) or answer for answer, _, _ in answers.values())


@needs_proc
@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "png"), ("RGB", "png"), ("I;16", "png"), ("RGB", "jpg"),
                                            ("RGBA", "webp")])
def test_a_large_picture_takes_a_bounded_number_of_bytes_a_pixel(tmp_path: Path, mode: str, kind: str):
    side = 2500
    Image.new(mode, (side, side)).save(tmp_path / f"large.{kind}")
    answer, grown, _ = measured(tmp_path)[f"open_picture large.{kind}"]
    assert answer == [side, side] and 3 < grown * 2**20 / side**2 < 20


@pytest.mark.parametrize("limit", [None, 1, 10**12])
def test_the_limit_is_our_own_and_not_the_processs(tmp_path: Path, monkeypatch, limit: int | None):
    monkeypatch.setattr(limits, "MOST_PIXELS", 100 * 100)
    if limit != 1:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    for kind in ("png", "jpg", "webp", "bmp"):
        assert open_picture(save(tmp_path / f"a.{kind}", noise(100, 100))).size == (100, 100)
        for read in (read_header, open_picture):
            with pytest.raises(PictureError, match="more pixels than can be opened safely"):
                read(save(tmp_path / f"b.{kind}", noise(100, 101)))


def test_a_strip_is_refused_and_a_comic_is_not(tmp_path: Path):
    assert read_header(save(tmp_path / "comic.png", noise(32, 2000)))[:2] == (32, 2000)
    with pytest.raises(PictureError, match="64 times as long as wide"):
        read_header(save(tmp_path / "strip.png", noise(16, 1030)))


def test_a_file_of_too_many_bytes_is_not_read(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(limits, "MOST_FILE_BYTES", 1000)
    path = save(tmp_path / "a.png", noise(100, 100))
    for read in (read_header, open_picture, read_picture_file):
        with pytest.raises(PictureError, match="the file is 0 MB"):
            read(path)


def test_pictures_that_are_large_together_are_decoded_one_after_the_other(tmp_path: Path, monkeypatch):
    budget = limits.PixelBudget(3 * 100 * 100)
    monkeypatch.setattr(images, "BUDGET", budget)
    path, held, most = save(tmp_path / "a.png", noise(100, 100)), [], []
    lock = threading.Lock()

    def decode() -> None:
        with decoded(path):
            with lock:
                held.append(1)
                most.append(len(held))
            time.sleep(0.02)
            with lock:
                held.pop()

    threads = [threading.Thread(target=decode) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(most) == 16 and max(most) == 3


def test_a_picture_larger_than_the_whole_budget_is_decoded_alone_and_a_damaged_one_gives_its_share_back(tmp_path: Path,
                                                                                                        monkeypatch):
    monkeypatch.setattr(images, "BUDGET", limits.PixelBudget(10))
    path = save(tmp_path / "a.png", noise(100, 100))
    damaged = tmp_path / "b.png"
    damaged.write_bytes(path.read_bytes()[:-4000])
    for _ in range(3):
        with pytest.raises(PictureError):
            open_picture(damaged)
        assert open_picture(path).size == (100, 100)


def test_files_are_closed_whether_they_can_be_used_or_not(tmp_path: Path):
    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not list open files")
    good = save(tmp_path / "a.png", noise(100, 100))
    bad = tmp_path / "b.png"
    bad.write_bytes(hostile_pictures()["png 20000x20000.png"])
    before = len(list(Path("/proc/self/fd").iterdir()))
    problems = []
    for _ in range(20):
        read_header(good)
        try:
            open_picture(bad)
        except PictureError as problem:
            problems.append(problem)
    assert len(problems) == 20 and len(list(Path("/proc/self/fd").iterdir())) == before


def test_thumbnails_are_made_of_what_can_be_decoded_only(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(hostile_pictures()["png 13300x13300.png"])
    with (tmp_path / "a.png").open("rb") as file, pytest.raises(PictureError, match="13300x13300"):
        thumbnail(tmp_path / "a.png", file, 256, tmp_path / "cache")
