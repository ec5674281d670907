"""Tests of the benchmarks: what they count is true, and all their code runs."""
