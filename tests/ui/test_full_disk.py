"""A request during which the disk refuses a write is answered with a sentence, at whichever write that is."""

from __future__ import annotations

import errno
import threading

import pytest

from tests.crashes import failing, operations_seen

MOST_OPERATIONS = 25
REQUESTS = {
    "a run": lambda tab: tab.post("runs", {"job": tab.job()}),
    "thumbnail": lambda tab: tab.get("thumbnail", folder=str(tab.dataset), path="0.png", size="128"),
    "captions": lambda tab: tab.post("captions/open", {"folder": str(tab.dataset), "settings": {}}),
}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_whose_write_is_refused_is_answered_with_a_sentence(tab, name: str, code: int):
    tab.services.supervisor.close()
    tab.services.supervisor.join(60)
    refused = 0
    for at in range(1, MOST_OPERATIONS):
        with failing(at, 1, code):
            answer = REQUESTS[name](tab)
        assert answer.status_code < 500, (at, answer.text)
        refused += answer.status_code == 400
        if answer.status_code == 400:
            assert "[Errno" not in answer.json()["error"]
        if operations_seen() < at:
            break
    assert bool(refused) == (name != "captions")  # a dataset can be looked at on a full disk


def test_what_an_earlier_test_writes_in_the_background_does_not_count(tmp_path):
    begin, written = threading.Event(), threading.Event()

    def write():
        begin.wait()
        (tmp_path / "late.txt").write_text("late")
        written.set()

    thread = threading.Thread(target=write)
    thread.start()
    with failing(1):
        begin.set()
        assert written.wait(240)
        with pytest.raises(OSError, match="No space left"):
            (tmp_path / "own.txt").write_text("own")
    thread.join()
    assert operations_seen() == 1
