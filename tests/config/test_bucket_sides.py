"""Bucket sides that are not given follow from the resolution, so that no resolution is refused for them."""

from __future__ import annotations

import pytest

from lib_lora_train.config.change import changed
from lib_lora_train.config.check import problems_of
from lib_lora_train.config.job import Job
from lib_lora_train.pictures.buckets import BucketRule


@pytest.mark.parametrize(("resolution", "sides"), [
    ("512", (320, 1024)), ("256", (160, 512)), ("64", (64, 128)), ("768", (480, 1536)), ("1024", (640, 2048)),
    ("512x768", (320, 1536)), ("300", (188, 600))])
def test_sides_follow_from_the_resolution_and_pass_the_check(resolution, sides):
    job = changed(Job(), {"dataset.resolution": resolution})
    assert job.dataset.bucket_sides == sides
    assert not [problem for problem in problems_of(job) if "bucket" in problem]
    assert BucketRule.of(job.dataset).sizes


@pytest.mark.parametrize(("name", "value", "resolution"), [
    ("min_bucket_reso", 320, "256"), ("max_bucket_reso", 768, "1024"), ("min_bucket_reso", 640, "512x768")])
def test_a_side_that_was_given_is_kept_and_the_way_out_is_said(name, value, resolution):
    job = changed(Job(), {"dataset.resolution": resolution, f"dataset.{name}": value})
    assert value in job.dataset.bucket_sides
    [problem] = [problem for problem in problems_of(job) if f"dataset.{name}" in problem]
    assert "leave it empty" in problem
