"""Images that come into a dataset and go out to the webui: uploads, results of its tabs, upscaling."""
