"""Publishing a LoRA: its card as text, as the webui's sidecar, and as a folder ready for upload."""
