"""The Train sub-tab: the form, the dataset, and advice."""
