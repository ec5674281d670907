"""What the base knows: a check before training, started from the trigger word."""
