/** Buttons beside the webui's own "Send to" buttons, below the results of its tabs: add to the dataset, and what is wrong. */

import {emit, h} from "../../core/dom.js";
import {showTab} from "../../core/shell.js";
import {openWebuiTab} from "../../core/webui_form.js";
import {promptOfInfo} from "./prompt_text.js";

/** @typedef {{src: string, tab: string, prompt: string}} Shown */
/** @typedef {{id: string, tabs: string[], sign: string, label: string, words: string, run: (shown: Shown) => void}} Kind */

/** @type {Kind[]} */
const KINDS = [{id: "add", tabs: ["txt2img", "img2img", "extras"], sign: "📥", label: "Add to dataset",
    words: "Add to dataset: put this result into the set of Train LoRA, beside the image it was made from",
    run: (shown) => {
        showTab("captions");
        emit("add-to-dataset", shown);
    }},
{id: "wrong", tabs: ["txt2img", "img2img"], sign: "🔎", label: "What is wrong here?",
    words: "What is wrong here? Find the training images and captions behind a fault of this image",
    run: ({src, prompt}) => emit("what-is-wrong", {src, prompt, run: ""})}];

/** Add the buttons that are missing. */
export function addGalleryButtons() {
    for (const kind of KINDS) for (const tab of kind.tabs) {
        const row = document.getElementById(`image_buttons_${tab}`);
        const buttons = row ? [...row.querySelectorAll("button")] : [];
        const like = buttons[buttons.length - 1];
        if (!like || buttons.some((one) => one.id === `train_lora_${kind.id}_${tab}`)) continue;
        const own = h("button", {type: "button", id: `train_lora_${kind.id}_${tab}`, class: like.className, title: kind.words,
            "aria-label": kind.label, on: {click: () => take(kind, tab, own)}}, kind.sign);
        like.after(own);
    }
}

/** @param {Kind} kind @param {string} tab @param {HTMLElement} own the button */
function take(kind, tab, own) {
    const src = shownImage(tab);
    if (!src) {
        own.textContent = "no image yet";
        setTimeout(() => {
            own.textContent = kind.sign;
        }, 1500);
        return;
    }
    const prompt = promptOf(tab);
    openWebuiTab("tab_train_lora", "Train LoRA");
    kind.run({src, tab, prompt});
}

/** @param {string} tab while it is shown @returns {string} what its result was generated from, else what its form has now */
function promptOf(tab) {
    const info = document.getElementById(`html_info_${tab}`);
    const box = /** @type {HTMLTextAreaElement|null} */ (document.querySelector(`#${tab}_prompt textarea`));
    return (info && promptOfInfo(info.innerText)) || (box ? box.value : "");
}

/** @param {string} tab @returns {string} the source of the image that its gallery shows large, else of the chosen or first one */
function shownImage(tab) {
    const gallery = document.getElementById(`${tab}_gallery`);
    const image = gallery && ["[data-testid=detailed-image]", ".preview > img", ".preview button > img", ".thumbnail-item.selected img",
        ".thumbnail-item img", "img"].map((selector) => gallery.querySelector(selector)).find((one) => one instanceof HTMLImageElement && one.src);
    return image instanceof HTMLImageElement ? image.src : "";
}
