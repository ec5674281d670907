/** The button "Add to dataset" beside the webui's own "Send to" buttons, below the results of its tabs. */

import {emit, h} from "../../core/dom.js";
import {showTab} from "../../core/shell.js";
import {openWebuiTab} from "../../core/webui_form.js";

const TABS = ["txt2img", "img2img", "extras"];
const SIGN = "📥";
const WORDS = "Add to dataset: put this result into the set of Train LoRA, beside the image it was made from";

/** Add the buttons that are missing. */
export function addGalleryButtons() {
    for (const tab of TABS) {
        const row = document.getElementById(`image_buttons_${tab}`);
        const buttons = row ? [...row.querySelectorAll("button")] : [];
        const like = buttons[buttons.length - 1];
        if (!like || buttons.some((one) => one.id === `train_lora_add_${tab}`)) continue;
        const own = h("button", {type: "button", id: `train_lora_add_${tab}`, class: like.className, title: WORDS, "aria-label": "Add to dataset",
            on: {click: () => add(tab, own)}}, SIGN);
        like.after(own);
    }
}

/** @param {string} tab @param {HTMLElement} own the button */
function add(tab, own) {
    const src = shownImage(tab);
    if (!src) {
        own.textContent = "no image yet";
        setTimeout(() => {
            own.textContent = SIGN;
        }, 1500);
        return;
    }
    const prompt = /** @type {HTMLTextAreaElement|null} */ (document.querySelector(`#${tab}_prompt textarea`));
    openWebuiTab("tab_train_lora", "Train LoRA");
    showTab("captions");
    emit("add-to-dataset", {src, tab, prompt: prompt ? prompt.value : ""});
}

/** @param {string} tab @returns {string} the source of the image that its gallery shows large, else of the chosen or first one */
function shownImage(tab) {
    const gallery = document.getElementById(`${tab}_gallery`);
    const image = gallery && ["[data-testid=detailed-image]", ".preview > img", ".preview button > img", ".thumbnail-item.selected img",
        ".thumbnail-item img", "img"].map((selector) => gallery.querySelector(selector)).find((one) => one instanceof HTMLImageElement && one.src);
    return image instanceof HTMLImageElement ? image.src : "";
}
