/** Settings to start from, one click each, and why they are what they are. */

import {api, fill, h, on} from "../core/dom.js";
import {button, fold} from "../core/parts.js";
import {dataset} from "./images/dataset.js";
import {familyQuery} from "./family.js";
import {valueInWords} from "./fields.js";
import {form} from "./form.js";

/** @returns {HTMLElement} fills itself when the server has answered */
export function presetRow() {
    const buttons = h("div", {class: "tl-chips", role: "group", "aria-labelledby": "tl_presets_title"});
    const why = h("div", {class: "tl-why", hidden: true, "aria-live": "polite"});
    const element = h("div", {class: "tl-presets", hidden: true},
        h("h4", {class: "tl-subtitle", id: "tl_presets_title"}, "Start from"), buttons, why);

    async function ask() {
        const looks = dataset && dataset.looks_per_epoch ? dataset.looks_per_epoch : 0;
        const {presets} = await api(`presets?looks_per_epoch=${looks}${familyQuery()}`, {quiet: true});
        element.hidden = false;
        fill(buttons, presets.map((preset) => button(preset.title, {small: true, title: preset.text,
            click: () => choose(preset)})));
    }

    /** @param {import("./answers").PresetFacts} preset */
    function choose(preset) {
        const before = form.snapshot();
        form.take(preset.values);
        const reasons = Object.entries(preset.reasons).flatMap(([key, reason]) => {
            const setting = form.settings.get(key);
            return setting ? [{key, reason, label: setting.label}] : [];
        });
        const close = () => {
            why.hidden = true;
        };
        fill(why, h("div", {class: "tl-why-head"}, h("p", {}, preset.text),
            button("Undo", {small: true, click: () => {
                form.restore(before);
                close();
            }}), button("Close", {kind: "quiet", icon: "close", iconOnly: true, small: true, click: close})),
        fold("Why these settings", h("dl", {}, reasons.map(({key, reason, label}) =>
            [h("dt", {}, `${label}: ${valueInWords(form.get(key))}`),
                h("dd", {}, reason)]))));
        why.hidden = false;
    }

    for (const name of /** @type {const} */ (["dataset", "family"])) on(name, () => ask().catch(hide));
    const hide = () => {
        element.hidden = true;
    };
    ask().catch(hide);
    return element;
}
