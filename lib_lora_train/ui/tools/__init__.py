"""The Tools sub-tab: LoRAs made without training, what is in a LoRA file, and its card in the webui."""
