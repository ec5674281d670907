"""Starts the stand-in webui: gradio, the extension's script, javascript/ and style.css, all as the webui does it."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
import unittest.mock
from dataclasses import dataclass
from pathlib import Path

from .environments import ReadyEnvironment

STANDIN = Path(__file__).resolve().parent
EXTENSION = STANDIN.parents[1]
MODELS = "models"


@dataclass(frozen=True)
class Options:
    """How the stand-in is started; the fields are the webui's own options."""

    data_dir: Path
    port: int
    checkpoints: tuple[Path, ...] = ()
    vaes: tuple[Path, ...] = ()
    vae: Path | None = None
    device: str = "cpu"
    clip_skip: int = 1
    auth: tuple[str, str] | None = None
    api_auth: str | None = None
    listen: bool = False
    hide_ui_dir_config: bool = False
    environment: ReadyEnvironment | None = None  # in place of the one that is installed


def use_standin_modules() -> None:
    """Let ``import modules`` find the stand-in's."""
    if str(STANDIN) not in sys.path:
        sys.path.insert(0, str(STANDIN))


def configure(options: Options) -> None:
    """Put ``options`` where the webui's modules have them, and "load" the first checkpoint."""
    use_standin_modules()
    from modules import devices, paths, sd_models, sd_vae, shared, upscaler  # noqa: F401  # it fills shared's list

    paths.data_path = str(options.data_dir)
    paths.models_path = str(options.data_dir / MODELS)
    shared.cmd_opts.lora_dir = str(options.data_dir / MODELS / "Lora")
    Path(shared.cmd_opts.lora_dir).mkdir(parents=True, exist_ok=True)
    getattr(sys.modules.get("networks"), "list_available_networks", bool)()  # a webui that starts reads the folder
    shared.cmd_opts.api_auth = options.api_auth
    shared.cmd_opts.hide_ui_dir_config = options.hide_ui_dir_config
    shared.cmd_opts.disable_extension_access = options.listen
    shared.opts.CLIP_stop_at_last_layers = options.clip_skip
    devices.device = devices.Device(options.device)
    sd_vae.vae_dict.clear()
    sd_vae.vae_dict.update({vae.name: str(vae) for vae in options.vaes})
    sd_vae.loaded_vae_file = str(options.vae) if options.vae else None
    sd_models.checkpoints_list.clear()
    sd_models.checkpoint_aliases.clear()
    infos = [sd_models.CheckpointInfo(str(path)) for path in options.checkpoints]
    for info in infos:
        info.register()
    sd_models.model_data = sd_models.SdModelData()
    if infos:
        shared.opts.sd_model_checkpoint = infos[0].title
        sd_models.model_data.set_sd_model(sd_models.Model(infos[0]))


class StandinWebui:
    """The stand-in as a running server."""

    def __init__(self, options: Options) -> None:
        self.configure(options)
        self.restart = threading.Event()
        self.demo = None
        self.app = None

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://127.0.0.1:{self.options.port}/"

    def configure(self, options: Options) -> None:
        """Put ``options`` in the place of those it has."""
        configure(options)
        self.options = options

    def start(self) -> None:
        """Load the script, build the page, serve it."""
        self.build()
        self.serve()

    def build(self) -> None:
        """Load the script and build the page. No thread is started, so that the process can be forked then."""
        import gradio
        from modules import scripts

        self._load_scripts()
        self._before_ui()
        scripts.scripts_txt2img.initialize_scripts(is_img2img=False)
        self._inject_assets(gradio)
        self.demo = build_page(gradio)

    def serve(self) -> None:
        """Serve the page that was built, and add the routes."""
        self.demo.queue(64)
        self.app, _, _ = self.demo.launch(
            server_name="127.0.0.1", server_port=self.options.port, auth=self.options.auth, quiet=True,
            prevent_thread_lock=True, allowed_paths=[str(EXTENSION / "javascript"), str(EXTENSION / "style.css")])
        self.app.user_middleware = [item for item in self.app.user_middleware
                                    if item.cls.__name__ != "CORSMiddleware"]
        self.app.middleware_stack = None
        self.app.build_middleware_stack()
        self.app.add_api_route("/standin/reload", self._ask_for_restart, methods=["POST"])
        from modules import script_callbacks

        for callback in script_callbacks.callback_map["app_started"]:
            self._serve(callback)

    def _before_ui(self) -> None:
        from modules import script_callbacks

        for name in ("before_ui", "ui_settings"):
            for callback in script_callbacks.callback_map[name]:
                callback()

    def _serve(self, callback) -> None:
        if self.options.environment is None:
            callback(self.demo, self.app)
            return
        environment = self.options.environment
        with unittest.mock.patch.dict(callback.__globals__, InstalledEnvironment=lambda: environment):
            callback(self.demo, self.app)

    def reload_ui(self) -> None:
        """As "Reload UI": the server goes and comes back, the process stays."""
        from modules import script_callbacks

        self.demo.close()
        time.sleep(0.5)
        for callback in reversed(script_callbacks.callback_map["script_unloaded"]):
            callback()
        self.start()

    def close(self) -> None:
        """End the server."""
        self.demo.close()

    def _ask_for_restart(self) -> dict:
        self.restart.set()
        return {}

    def _load_scripts(self) -> None:
        from modules import script_callbacks, scripts

        scripts.load_scripts()
        script_callbacks.clear_callbacks()
        before = sys.path
        try:
            sys.path = [str(EXTENSION), *sys.path]
            for path in sorted((EXTENSION / "scripts").glob("*.py")):
                spec = importlib.util.spec_from_file_location(path.name, path)
                spec.loader.exec_module(importlib.util.module_from_spec(spec))
        finally:
            sys.path = before

    def _inject_assets(self, gradio) -> None:
        scripts = "".join(f'<script type="text/javascript" src="file={path}?{path.stat().st_mtime}"></script>\n'
                          for path in [STANDIN / "page.js", *sorted((EXTENSION / "javascript").glob("*.js"))])
        style = EXTENSION / "style.css"
        css = f'<link rel="stylesheet" property="stylesheet" href="file={style}?{style.stat().st_mtime}">' \
            if style.exists() else ""
        templates = gradio.routes.templates
        original = getattr(templates, "before_standin", templates.TemplateResponse)
        templates.before_standin = original

        def response(*args, **kwargs):
            answer = original(*args, **kwargs)
            answer.body = answer.body.replace(b"</head>", scripts.encode() + b"</head>")
            answer.body = answer.body.replace(b"</body>", css.encode() + b"</body>")
            answer.init_headers()
            return answer

        templates.TemplateResponse = response


def txt2img(prompt: str) -> str:
    """What the webui's Generate calls, one at a time behind the lock. It draws nothing."""
    return f"A picture of {prompt}"


def build_img2img(gradio):
    """img2img with its two images and its results; Generate answers with the image, its colours inverted."""
    from modules import call_queue, infotext_utils
    from PIL import ImageOps

    def inverted(prompt, image):
        return [ImageOps.invert(image.convert("RGB"))]

    with gradio.Blocks(analytics_enabled=False) as form:
        prompt = gradio.Textbox(label="Prompt", elem_id="img2img_prompt", lines=3, show_label=False)
        generate = gradio.Button("Generate", elem_id="img2img_generate")
        with gradio.Tabs(elem_id="mode_img2img"):
            images = {}
            for name, title, element in (("img2img", "img2img", "img2img_image"),
                                         ("sketch", "Sketch", "img2img_sketch"), ("inpaint", "Inpaint", "img2maskimg")):
                with gradio.TabItem(title, id=name):
                    images[name] = gradio.Image(elem_id=element, type="pil", image_mode="RGBA", show_label=False)
        for name, size in (("width", 512), ("height", 512)):
            gradio.Slider(64, 2048, size, step=8, label=name, elem_id=f"img2img_{name}")
        gallery = gradio.Gallery(elem_id="img2img_gallery", show_label=False, preview=True)
        with gradio.Row(elem_id="image_buttons_img2img"):
            gradio.Button("Send to extras", elem_id="img2img_send_to_extras")
        generate.click(call_queue.wrap_queued_call(inverted), [prompt, images["img2img"]], gallery)
    for name in ("img2img", "inpaint"):
        infotext_utils.add_paste_fields(name, images[name], None)
    return form


def build_page(gradio):
    """The webui's frame: the tabs, txt2img with its form, and what scripts add."""
    from modules import call_queue, infotext_utils, script_callbacks, sd_samplers

    with gradio.Blocks(analytics_enabled=False) as form:
        prompt = gradio.Textbox(label="Prompt", elem_id="txt2img_prompt", lines=3, show_label=False)
        negative = gradio.Textbox(label="Negative prompt", elem_id="txt2img_neg_prompt", lines=3, show_label=False)
        generate = gradio.Button("Generate", elem_id="txt2img_generate", variant="primary")
        fields = {
            "prompt": prompt, "negative_prompt": negative,
            "styles": gradio.Dropdown(["sketch", "photo"], label="Styles", elem_id="txt2img_styles", multiselect=True),
            "sampler_name": gradio.Dropdown([sampler.name for sampler in sd_samplers.samplers], value="DPM++ 2M",
                                            label="Sampling method", elem_id="txt2img_sampling"),
            "steps": gradio.Slider(1, 150, 20, step=1, label="Sampling steps", elem_id="txt2img_steps"),
            "width": gradio.Slider(64, 2048, 512, step=8, label="Width", elem_id="txt2img_width"),
            "height": gradio.Slider(64, 2048, 512, step=8, label="Height", elem_id="txt2img_height"),
            "enable_hr": gradio.Checkbox(False, label="Hires. fix", elem_id="txt2img_hr-checkbox"),
            "hr_scale": gradio.Slider(1, 4, 2, step=0.05, label="Upscale by", elem_id="txt2img_hr_scale"),
            "seed": gradio.Number(-1, label="Seed", elem_id="txt2img_seed", precision=0)}
        infotext_utils.add_paste_fields("txt2img", None, [
            infotext_utils.PasteField(component, name, api=name) for name, component in fields.items()])
        with gradio.Column(elem_id="txt2img_results"):
            result = gradio.HTML("", elem_id="html_info_txt2img")
        generate.click(call_queue.wrap_queued_call(txt2img), prompt, result)
    tabs = [(form, "txt2img", "txt2img"), (build_img2img(gradio), "img2img", "img2img")]
    for callback in script_callbacks.callback_map["ui_tabs"]:
        tabs += callback()
    with gradio.Blocks(analytics_enabled=False, title="Stable Diffusion") as demo, gradio.Tabs(elem_id="tabs"):
        for interface, label, element in tabs:
            with gradio.TabItem(label, id=element, elem_id=f"tab_{element}"):
                interface.render()
    return demo
