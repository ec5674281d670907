"""Settings of other tools, read as a job: one file for each format, and a report that answers for every option."""
