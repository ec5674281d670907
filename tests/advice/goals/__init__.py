"""Tests of ``lib_lora_train.advice.goals``."""
