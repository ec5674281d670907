"""Near-duplicates: the same image, resized, recompressed, mirrored, slightly cropped, or brighter or darker.

The one place that decides it, for the doctor, the diagnosis, the held-out images, and samples like a training image.
"""
