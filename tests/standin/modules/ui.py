"""What the webui's page is built with; scripts may replace it before."""

from modules.call_queue import wrap_queued_call  # noqa: F401


def update_token_counter(text):
    return f"{len(text.split())}/75"


def update_negative_prompt_token_counter(text):
    return update_token_counter(text)
