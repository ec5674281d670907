/** Sets the rates on a change of optimizer: 1 for adaptive optimizers, about 1e-4 for the others. */

import {fill, h, on, setText} from "../../core/dom.js";
import {button} from "../../core/parts.js";
import {form} from "../form.js";

const OPTIMIZER = "optimizer.optimizer_type";
const RATE = "optimizer.learning_rate";
const OF_PARTS = ["optimizer.unet_lr", "optimizer.text_encoder_lr", "optimizer.text_encoder_lr2"];

/** @returns {HTMLElement} shows what was changed, with undo */
export function rateNote() {
    const words = h("p", {});
    const element = h("div", {class: "tl-why", hidden: true, "aria-live": "polite"});
    let before = form.text(OPTIMIZER);

    on("setting", ({keys}) => {
        const now = form.text(OPTIMIZER);
        const was = before;
        before = now;
        if (keys.length > 1 || !keys.includes(OPTIMIZER) || was === now) {
            if (keys.some((key) => key === RATE || key === OPTIMIZER || OF_PARTS.includes(key))) element.hidden = true;
            return;
        }
        follow(was, now);
    });

    /** @param {string} was @param {string} now optimizer */
    function follow(was, now) {
        const {[was]: old, [now]: own} = form.optimizers;
        element.hidden = true;
        if (!old || !own || !unfit(old, own)) return;
        const kept = Object.fromEntries([RATE, ...OF_PARTS].map((key) => [key, form.get(key) ?? null]));
        const parts = OF_PARTS.filter((key) => form.get(key) !== null && form.get(key) !== 0);
        const values = Object.fromEntries([[RATE, own.rate], ...parts.map((key) => [key, null])]);
        form.setAll(values);
        const others = parts.length ? `, and ${parts.map(labelOf).join(" and ")} ${parts.length === 1 ? "follows" :
            "follow"} it` : "";
        setText(words, `${labelOf(RATE)} is ${own.rate} now, as ${now} needs it (it was ${kept[RATE]})${others}.`);
        fill(element, h("div", {class: "tl-why-head"}, words, button("Undo", {small: true, click: () => {
            form.setAll(kept);
            element.hidden = true;
        }})));
        element.hidden = false;
    }
    return element;
}

/**
 * Whether the rate in the form suits the previous optimizer only.
 * @param {import("../answers").OptimizerRate} old @param {import("../answers").OptimizerRate} own
 */
function unfit(old, own) {
    const rate = Number(form.get(RATE));
    if (rate === own.rate) return false;
    return old.adaptive !== own.adaptive || rate === old.rate;
}

/** @param {string} key */
const labelOf = (key) => (form.settings.get(key) || {label: key}).label;
