/** Sends a LoRA to the webui's txt2img tab. */

import {toast} from "../core/parts.js";
import {openWebuiTab, setNumber} from "../core/webui_form.js";
import {promptWith} from "./prompt.js";

/**
 * Inserts the LoRA and its trigger word into txt2img's prompt, sets the size it was trained at, and switches to the
 * tab. The prompt is kept; another file of the same run is replaced.
 * @param {{prompt: string, name: string, tag: string, width?: number, height?: number, clip_skip?: number,
 * clip_skip_before?: number, end?: string}} answer of /train-lora/runs/ID/try; `end` follows the file's name in the
 * prompt, such as ":1:lbw=INS"
 */
export function toTxt2img(answer) {
    const prompt = /** @type {HTMLTextAreaElement|null} */ (document.querySelector("#txt2img_prompt textarea"));
    if (!prompt) {
        toast("error", "The txt2img tab cannot be found on this page.",
            {problems: [`The prompt would be: ${answer.prompt}`]});
        return;
    }
    prompt.value = promptWith(prompt.value, answer);
    prompt.dispatchEvent(new Event("input", {bubbles: true}));
    setNumber("#txt2img_width", answer.width);
    setNumber("#txt2img_height", answer.height);
    setNumber("#setting_CLIP_stop_at_last_layers", answer.clip_skip);
    if (answer.clip_skip !== answer.clip_skip_before) {
        toast("info", `CLIP skip is ${answer.clip_skip} now, as trained; it was ${answer.clip_skip_before}.`);
    }
    if (!openWebuiTab("tab_txt2img", "txt2img")) toast("good", "The prompt is filled in. Open the txt2img tab to try it.");
    prompt.focus();
}
