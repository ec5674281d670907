"""Imports settings of other tools as a job: one module per format, and a report that covers every option."""
