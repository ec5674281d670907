/** Settings to start from: recommended presets with reasons, user presets, and settings of other programs. */

import {api, fill, h, on} from "../../core/dom.js";
import {button, fold, unread} from "../../core/parts.js";
import {dataset} from "../images/dataset.js";
import {openExport} from "./export_settings.js";
import {familyQuery} from "../family.js";
import {valueInWords} from "../fields.js";
import {form} from "../form.js";
import {openImport} from "./import_settings.js";
import {openPresets, openSavePreset} from "./own_presets.js";

/** @typedef {import("../answers").OwnPreset} OwnPreset */
/** @typedef {import("../values").Value} Value */

/** @returns {HTMLElement} filled when the server answers */
export function presetRow() {
    const buttons = h("div", {class: "tl-chips", role: "group", "aria-labelledby": "tl_presets_title"});
    const own = h("div", {class: "tl-chips", id: "tl_own_presets", role: "group", "aria-label": "Your presets", hidden: true});
    const why = h("div", {class: "tl-why", hidden: true, "aria-live": "polite"});
    const recommended = h("div", {class: "tl-presets", hidden: true},
        h("h4", {class: "tl-subtitle", id: "tl_presets_title"}, "Start from"), buttons);
    const more = h("div", {class: "tl-chips"},
        button("Import settings", {small: true, id: "tl_import_open", click: () => openImport((source, before) =>
            explain(`Settings imported from ${source}.`, before))}),
        button("Export", {small: true, id: "tl_export_open", click: openExport}),
        button("Save as a preset", {small: true, id: "tl_preset_open", click: () => openSavePreset(showOwn)}));
    const element = h("div", {class: "tl-presets"}, recommended, own, more, why);

    async function ask() {
        const images = dataset && dataset.images_per_epoch ? dataset.images_per_epoch : 0;
        const answer = await api(`presets?images_per_epoch=${images}${familyQuery()}`, {quiet: true}).catch((failure) => ({failure}));
        recommended.hidden = false;
        fill(buttons, "failure" in answer ? unread("The presets", answer.failure, ask) : answer.presets.map((preset) => button(preset.title, {small: true, title: preset.text,
            click: () => choose(preset)})));
    }

    /** @param {OwnPreset[]} presets */
    function showOwn(presets) {
        own.hidden = !presets.length;
        fill(own, h("span", {class: "tl-note"}, "Your presets:"), presets.map((preset) => button(preset.name, {small: true,
            click: () => {
                const before = form.snapshot();
                form.take(preset.values);
                explain(`Your preset ${preset.name} is loaded.`, before);
            }})), button("Manage", {small: true, kind: "quiet", id: "tl_presets_manage",
            click: () => openPresets(presets, showOwn)}));
    }

    /** @param {import("../answers").PresetFacts} preset */
    function choose(preset) {
        const before = form.snapshot();
        form.take(preset.values);
        const reasons = Object.entries(preset.reasons).flatMap(([key, reason]) => {
            const setting = form.settings.get(key);
            return setting ? [{key, reason, label: setting.label}] : [];
        });
        explain(preset.text, before, fold("Why these settings", h("dl", {}, reasons.map(({key, reason, label}) =>
            [h("dt", {}, `${label}: ${valueInWords(form.get(key))}`),
                h("dd", {}, reason)]))));
    }

    /** @param {string} text @param {Record<string, Value>} before for undo @param {HTMLElement|null} [details] */
    function explain(text, before, details = null) {
        const close = () => {
            why.hidden = true;
        };
        fill(why, h("div", {class: "tl-why-head"}, h("p", {}, text),
            button("Undo", {small: true, click: () => {
                form.restore(before);
                close();
            }}), button("Close", {kind: "quiet", icon: "close", iconOnly: true, small: true, click: close})), details);
        why.hidden = false;
    }

    on("taken", ({text, before}) => explain(text, before));
    for (const name of /** @type {const} */ (["dataset", "family"])) on(name, ask);
    ask();
    const askOwn = () => api("own-presets", {quiet: true}).then(({presets}) => showOwn(presets), (error) => {
        own.hidden = false;
        fill(own, unread("Your presets", error, askOwn));
    });
    askOwn();
    return element;
}
