"""The queue on the page: its order, its holds, and the settings of queued runs."""
