from modules import fifo_lock

queue_lock = fifo_lock.FIFOLock()


def wrap_queued_call(func):
    def f(*args):
        with queue_lock:
            return func(*args)

    return f
