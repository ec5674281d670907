"""A request during which the disk refuses a write is answered with a sentence, at whichever write that is."""

from __future__ import annotations

import errno

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
