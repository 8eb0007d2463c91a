"""From pictures and captions to batches: pixels, caches of latents and text embeddings, the order of an epoch."""
