"""Image features: how alike images are to a model such as CLIP or DINO."""
