"""Forge's thread that moves models: runs what it is given, elsewhere, and keeps errors to itself."""

import threading


def run_and_wait_result(func, *args, **kwargs):
    thread = threading.Thread(target=func, args=args, kwargs=kwargs, name="forge")
    thread.start()
    thread.join()
