from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lib_lora_train.config.load import job_from, job_to_yaml
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.runs.folder import create_run
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.setup import Prepared, prepare
from tests.training.conftest import (  # noqa: F401  # fixtures
    checkpoint,
    one_precision_a_process,
    pictures,
    tiny,
    train,
    values,
)


@pytest.fixture
def prepared(values: dict[str, dict[str, Any]], tmp_path: Path) -> Callable[..., Any]:  # noqa: F811
    """The small job, ready for its first step; ``changes`` are settings by group."""
    @contextmanager
    def make(**changes: dict[str, Any]) -> Iterator[Prepared]:
        job = job_from({group: {**values.get(group, {}), **changes.get(group, {})} for group in {*values, *changes}})
        run = create_run(tmp_path / "runs", "measured", job_to_yaml(job))
        with EventWriter(run.events_file) as events:
            yield prepare(job, run, Reporter(events, terminal=False))

    return make
