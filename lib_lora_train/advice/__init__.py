"""Advice before training: schedules, sizes, and the effects of settings."""
