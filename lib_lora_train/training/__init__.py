"""Training: the loop, its loss and noise, optimizers, schedules, samples. Worker only."""
