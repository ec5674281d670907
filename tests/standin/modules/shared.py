import types

cmd_opts = types.SimpleNamespace(
    lora_dir=None, api_auth=None, hide_ui_dir_config=False, disable_extension_access=False)
opts = types.SimpleNamespace(sd_model_checkpoint=None, CLIP_stop_at_last_layers=1)


class Interrogator:
    def unload(self):
        pass


interrogator = Interrogator()
