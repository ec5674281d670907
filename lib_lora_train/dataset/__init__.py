"""Pictures, captions, buckets and batches. Everything but latents, batches and augment is free of torch."""
