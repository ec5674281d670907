"""A stand-in for the webui: just those parts of it that the extension uses, on the real gradio.

``modules/`` and ``networks.py`` have the webui's names and shapes, without torch. A contract test compares them with a
real webui where ``WEBUI_ROOT`` names one.
"""
