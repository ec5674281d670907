"""Editing of images: turning, cropping and trimming, and what is proposed for it."""
