"""Threads of the worker that wait give their core to others."""

from __future__ import annotations

import os

from lib_lora_train.__main__ import main


def test_threads_that_wait_do_not_spin(monkeypatch, capsys):
    monkeypatch.setattr("os.environ", {key: value for key, value in os.environ.items()
                                       if key not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")})
    assert main(["--help"]) == 0
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"]) == ("PASSIVE", "0")


def test_what_the_user_chose_for_threads_is_kept(monkeypatch, capsys):
    monkeypatch.setattr("os.environ", {**os.environ, "OMP_WAIT_POLICY": "ACTIVE"})
    main(["--help"])
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
