"""The Tools sub-tab: making LoRAs without training, inspecting LoRA files, and editing their cards in the webui."""
