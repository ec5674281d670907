"""One hundred and seventy-six pickles that want to run code, read where a user's or the webui's pickles are read: none
is carried out. And pickles of nonsense: each is read, or refused with an error of its own."""

from __future__ import annotations

import io
import pickle
import random
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from lib_lora_train.errors import CheckpointError, RunError
from lib_lora_train.models.checkpoint import read_checkpoint
from lib_lora_train.models.lent import NotLent, open_lent
from lib_lora_train.models.pickled import load_weights
from lib_lora_train.runs.lend_ticket import LENT, LendTicket
from lib_lora_train.runs.process_mark import this_process
from lib_lora_train.training.state import _read
from tests.figures import count, figure

MARKER = "carried-out"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def called(marker: Path) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """What would be called, and with what: each would leave ``marker`` behind, or get hold of what could."""
    touch, write = f"touch {marker}", f"open({str(marker)!r}, 'w')"
    return {"os.system": ("os", "system", (touch,)), "posix": ("posix", "system", (touch,)),
            "popen": ("subprocess", "getoutput", (touch,)), "eval": ("builtins", "eval", (write,)),
            "exec": ("builtins", "exec", (write,)), "open": ("builtins", "open", (str(marker), "w")),
            "old exec": ("__builtin__", "exec", (write,)), "pathlib": ("pathlib", "Path.touch", (str(marker),)),
            "numpy": ("numpy.testing._private.utils", "runstring", (write, "")),
            "from a file": ("torch.storage", "UntypedStorage.from_file", (str(marker),)),
            "torch's own": ("torch.serialization", "load", (str(marker),))}


def forms(module: str, name: str, given: tuple[str, ...]) -> dict[str, bytes]:
    """The ways in which a pickle calls something."""
    line, arguments = f"{module}\n{name}\n".encode(), b"(" + b"".join(map(text, given)) + b"t"
    stacked = text(module) + text(name) + b"\x93"
    return {
        "reduce": b"c" + line + arguments + b"R.", "protocol 2": b"\x80\x02c" + line + arguments + b"R.",
        "protocol 4": b"\x80\x04" + stacked + arguments + b"R.",
        "instance": b"(" + b"".join(map(text, given)) + b"i" + line + b".",
        "object": b"(c" + line + b"".join(map(text, given)) + b"o.",
        "new object": b"\x80\x02c" + line + arguments + b"\x81.",
        "new object with names": b"\x80\x04" + stacked + arguments + b"}\x92.",
        "hidden in a state": b"\x80\x02}" + text("state_dict") + b"}" + text("a.weight") + b"c" + line + arguments
                             + b"Rs" + b"s."}


def zipped(data: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    return content.getvalue()


def variants(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Each file: eleven things to call, in eight ways, in a file of either age."""
    for what, (module, name, given) in called(marker).items():
        for form, data in forms(module, name, given).items():
            yield f"{what}, {form}", data
            yield f"{what}, {form}, zip", zipped(data)


def as_checkpoint(path: Path) -> None:
    read_checkpoint(path)


def as_state(path: Path) -> None:
    _read(path)


def as_handles(path: Path) -> None:
    open_lent(LendTicket(LENT, this_process(), torch=torch.__version__), path.read_bytes(),
              torch.device("cpu"))


READERS: dict[str, tuple[Callable[[Path], None], type[Exception]]] = {
    "checkpoint": (as_checkpoint, CheckpointError), "state": (as_state, RunError), "handles": (as_handles, NotLent)}


def test_there_are_176_different_ones(tmp_path: Path):
    assert len({data for _, data in variants(tmp_path / MARKER)}) == 176


def test_each_would_be_carried_out_by_a_reader_that_allows_it(tmp_path: Path):
    """Otherwise their refusal would say nothing."""
    marker = tmp_path / MARKER
    for form, data in forms("builtins", "open", (str(marker), "w")).items():
        if form.startswith("new object"):
            continue  # a class only
        pickle.loads(data)
        assert marker.exists(), form
        marker.unlink()


@pytest.mark.parametrize("name", READERS)
def test_no_pickle_is_carried_out(tmp_path: Path, name: str):
    read, refusal = READERS[name]
    marker, path = tmp_path / MARKER, tmp_path / "a.ckpt"
    with figure(f"pickles: {name}") as counted:
        for what, data in variants(marker):
            path.write_bytes(data)
            counted.tried += 1
            with pytest.raises(refusal) as caught:
                read(path)
            assert not marker.exists(), what
            assert str(caught.value), what
    assert counted.tried == 176


@pytest.mark.parametrize("name", READERS)
def test_a_pickle_of_nonsense_is_refused_with_an_error_of_its_own(tmp_path: Path, name: str):
    read, refusal = READERS[name]
    chance, path = random.Random(name), tmp_path / "a.ckpt"
    good = io.BytesIO()
    torch.save({"network": {"a": torch.zeros(4)}, "optimizer": {}, "scaler": None, "job": {}, "pictures": "x",
                "progress": {"step": 1, "epoch": 1, "steps_in_epoch": 1, "loss_sum": 1.0, "saved": False}}, good,
               _use_new_zipfile_serialization=name != "handles")
    with figure(f"nonsense pickles: {name}") as counted:
        for number in range(count(120, 2000)):
            content = bytearray(good.getvalue())
            for _ in range(chance.randrange(1, 30)):
                content[chance.randrange(len(content))] = chance.randrange(256)
            path.write_bytes(content[:chance.randrange(len(content))] if number % 4 == 0 else content)
            counted.tried += 1
            try:
                read(path)
            except refusal as problem:
                assert "[Errno" not in str(problem)


@pytest.mark.parametrize("name", READERS)
def test_a_pickle_that_remembers_more_than_it_holds_takes_no_memory_for_it(tmp_path: Path, name: str):
    """Python's unpickler in C makes room for as many objects as the largest number under which one is remembered."""
    read, refusal = READERS[name]
    path = tmp_path / "a.ckpt"
    for data in (b"\x80\x02]r" + struct.pack("<I", 1 << 26) + b".", b"]p67108864\n."):
        for content in (data, zipped(data)):
            path.write_bytes(content)
            tracemalloc.start()
            try:
                with pytest.raises(refusal):
                    read(path)
                assert tracemalloc.get_traced_memory()[1] < 50_000_000
            finally:
                tracemalloc.stop()


STATE = {"network": {"a": torch.zeros(2)}, "optimizer": {}, "scaler": None, "job": {}, "pictures": "x",
         "progress": {"step": 1, "epoch": 1, "steps_in_epoch": 1, "loss_sum": 1.0, "saved": False}}


@pytest.mark.parametrize("changes", [
    {"network": None}, {"network": {"a": 3}}, {"network": []}, {"optimizer": 3}, {"progress": None}, {"scaler": 3},
    {"progress": {}}, {"progress": {**STATE["progress"], "step": -1}}, {"progress": {**STATE["progress"], "step": "1"}},
    {"progress": {**STATE["progress"], "loss_sum": float("nan")}}, {"progress": {**STATE["progress"], "more": 1}},
    {"job": []}])
def test_a_state_with_a_value_of_another_kind_is_refused(tmp_path: Path, changes: dict[str, object]):
    torch.save(STATE, tmp_path / "last.pt")
    assert _read(tmp_path / "last.pt")["progress"]["step"] == 1
    torch.save({**STATE, **changes}, tmp_path / "last.pt")
    with pytest.raises(RunError, match=r"last\.pt is damaged: .*Delete it to restart"):
        _read(tmp_path / "last.pt")


@pytest.mark.parametrize("content", [3, [], "a", {1: 2}])
def test_a_state_that_is_something_else_is_refused(tmp_path: Path, content: object):
    torch.save(content, tmp_path / "last.pt")
    with pytest.raises(RunError, match=r"last\.pt is damaged"):
        _read(tmp_path / "last.pt")


def test_a_tar_archive_is_not_unpacked(tmp_path: Path):
    path = tmp_path / "a.ckpt"
    with tarfile.open(path, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(entry)
    with pytest.raises(CheckpointError, match="tar archive"):
        read_checkpoint(path)


@pytest.mark.parametrize("data", [
    b"\x80\x02" + b"(" * 20_000 + b".", b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b".",
    b"\x80\x02]q\0h\0a.", b"\x8e" + struct.pack("<Q", 1 << 62) + b".", b"I" + b"9" * 100_000 + b"\n.",
    b"L" + b"9" * 5000 + b"L\n.", b"\x82\x01.", b"Pa\n.", b"}" + text("a") + b"Q."])
def test_a_pickle_that_is_deep_or_huge_or_has_ends_without_beginning_is_refused(tmp_path: Path, data: bytes):
    for path in (tmp_path / "a.ckpt", tmp_path / "b.pt"):
        for content in (data, zipped(data)):
            path.write_bytes(content)
            with pytest.raises(CheckpointError):
                read_checkpoint(path)
            with pytest.raises(RunError):
                _read(path)


@pytest.mark.parametrize("name", ["torch", "collections", "typing"])
def test_leftovers_are_inert_whatever_is_done_with_them(tmp_path: Path, name: str):
    path = tmp_path / "a.ckpt"
    path.write_bytes(zipped(b"\x80\x02}" + text("x") + b"cnumpy\n" + name.encode() + b"\n(" + text("a") + b"tR}"
                            + text("y") + b"K\x01sbs."))
    assert load_weights(path)["x"].__class__.__mro__[1].__name__ == "Inert"
