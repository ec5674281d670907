"""The webui's scripts; there are none but what a test puts here."""

scripts_data = []
