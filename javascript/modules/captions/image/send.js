/** Sends the selected image to the webui's img2img, inpaint or Extras, with its caption as the prompt and its size. */

import {dialog} from "../../core/dialog.js";
import {h} from "../../core/dom.js";
import {button, toast} from "../../core/parts.js";
import {fillText, openWebuiTab, setNumber} from "../../core/webui_form.js";
import {asPrompt} from "../exchange/prompt_text.js";
import {rememberSource} from "../exchange/sources.js";

/** @typedef {"img2img"|"inpaint"|"extras"} Target */

/** @type {import("./tools.js").ImageTool} */
export const sendTool = {label: "Send to", title: "Edit this image in img2img, inpaint or Extras", anySize: true, open};

/** @type {Record<Target, {words: string, note: string}>} */
const TARGETS = {img2img: {words: "img2img", note: "Redraw the whole image."},
    inpaint: {words: "Inpaint", note: "Mark a part and redraw only that: remove something, change a color."},
    extras: {words: "Extras", note: "Upscale it or restore faces."}};

let waiting = "";

document.addEventListener("train-lora-send", (event) => {
    /** @type {CustomEvent} */ (event).detail.image = waiting;  // gradio asks; see ui/send_buttons.py
    waiting = "";
});

/** @param {import("./tools.js").ToolContext} context */
function open({set, picture, opener}) {
    const choices = /** @type {Target[]} */ (Object.keys(TARGETS)).map((target) => h("li", {},
        button(TARGETS[target].words, {icon: "right", id: `tl_send_${target}`, click: () => {
            window.close();
            send(set, picture, target);
        }}), h("span", {class: "tl-note"}, TARGETS[target].note)));
    const window = dialog(`Send ${picture.name} to`, [h("ul", {class: "tl-sendlist"}, choices),
        h("p", {class: "tl-note"}, "Its caption becomes the prompt there. The button 📥 below the result adds the result to this set, " +
            "next to this image.")],
    [button("Cancel", {click: () => window.close()})]);
    window.addEventListener("close", () => opener.focus());
}

/** @param {import("../set.js").CaptionSet} set @param {import("../answers").Cell} picture @param {Target} target */
async function send(set, picture, target) {
    if (!canTake(target)) return;
    const answer = await set.ask("send", {numbers: [picture.number]}).catch(() => null);
    if (!answer) return;
    rememberSource(tabOf(target), {folder: set.folder, session: set.session, number: picture.number, path: picture.path, line: answer.line});
    hand(answer, target);
}

/** @param {Target} target @returns {"extras"|"img2img"} */
const tabOf = (target) => (target === "extras" ? "extras" : "img2img");

/** @param {Target} target @returns {HTMLElement|null} the hidden button that gives the image to gradio */
const giver = (target) => document.getElementById(`train_lora_send_${target}`);

/** Whether the webui has the tab; says so if not. @param {Target} target */
export function canTake(target) {
    if (giver(target)) return true;
    toast("error", `This webui has no tab ${TARGETS[target].words} that takes an image.`);
    return false;
}

/**
 * Put an image into one of the webui's tabs, with prompt and size, and open it.
 * @param {import("../answers").SentImage} answer @param {Target} target
 */
export function hand(answer, target) {
    const tab = tabOf(target);
    waiting = answer.image;
    giver(target)?.click();
    if (tab === "img2img") {
        fillText("#img2img_prompt textarea", asPrompt(answer.line));
        setNumber("#img2img_width", answer.width);
        setNumber("#img2img_height", answer.height);
    }
    openWebuiTab(`tab_${tab}`, tab);
    if (target !== "extras") openMode(target);
}

/** Open img2img's own tab "Inpaint", or its first. @param {Target} target */
function openMode(target) {
    const modes = document.querySelectorAll("#mode_img2img > .tab-nav > button, #mode_img2img > div > button");
    const mode = modes[target === "inpaint" ? 2 : 0];
    if (mode instanceof HTMLElement) mode.click();
}
