"""One tab with something of everything, for the tests that send something to every route."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from ..conftest import Tab, tabs_in
from .every_route import Furnished, furnish


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, finished_run: Callable[[Tab], str]) -> Iterator[Furnished]:
    """The tab, whose files ``reset`` puts back."""
    base = tmp_path_factory.mktemp("furnished")
    with tabs_in(base) as make:
        found = furnish(make(hide_ui_dir_config=True), base, finished_run)
        found.keep(tmp_path_factory.mktemp("kept") / "data")
        yield found
        shutil.rmtree(found.tab.services.runs_dir)  # nothing of it runs, and nothing has to be waited for
