"""Files that come from outside: uploaded, dropped, pasted or unpacked, and then added to a dataset."""
