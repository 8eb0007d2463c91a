"""What is known about a training before torch is loaded: settings, projects, pictures, buckets, steps, base models.

Nothing here imports torch, numpy, diffusers or transformers, so the app and the command line start at once.
"""
