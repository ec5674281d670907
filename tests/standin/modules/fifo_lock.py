"""As the webui's: a lock without an owner, taken in the order of asking, without a timeout."""

import collections
import threading


class FIFOLock:
    def __init__(self):
        self._held = threading.Lock()
        self._guard = threading.Lock()
        self._waiting = collections.deque()

    def acquire(self, blocking=True):
        with self._guard:
            if self._held.acquire(blocking=False):
                return True
            if not blocking:
                return False
            turn = threading.Event()
            self._waiting.append(turn)
        turn.wait()
        return self._held.acquire()

    def release(self):
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            self._held.release()

    __enter__ = acquire

    def __exit__(self, *_):
        self.release()
