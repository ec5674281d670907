/** The card "Settings": the few that matter in view, the rest folded away. */

import {h, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {card, fold} from "../core/parts.js";
import {difficultyRow} from "./difficulty.js";
import {field as settingField, fieldMakers, tend} from "./fields.js";
import {form} from "./form.js";
import {presetRow} from "./presets/presets.js";

/** @typedef {import("../core/types").Setting} Setting */

/** @type {Record<string, string>} */
const GROUPS = {base: "Model", dataset: "Images and captions", network: "Network", optimizer: "Optimizer",
    scheduler: "LR scheduler", loss: "Loss and noise", training: "Training", save: "Saving",
    sample: "Sample pictures"};

/** @returns {HTMLElement} needs the schema to be loaded */
export function settingsCard() {
    /** @type {import("./values").Field[]} */
    const fields = [];
    const make = (/** @type {Setting} */ setting) => {
        const field = (fieldMakers[setting.key] || settingField)(setting);
        fields.push(field);
        return field.element;
    };
    const all = [...form.settings.values()];
    const named = form.settings.get("save.output_name");
    const first = [named, form.settings.get("dataset.activation_tag")].filter((setting) => setting !== undefined);
    const main = all.filter((setting) => setting.view === "main" && setting.group !== "base")
        .filter((setting) => !first.includes(setting));
    const changes = h("span", {class: "tl-count"});
    const more = moreSettings(all.filter((setting) => setting.view === "more"), make, changes);
    const top = [...first, ...main].map((setting) => make(setting));
    tend(fields, () => {
        const count = form.changedIn("more").length;
        setText(changes, count ? `${format.number(count)} changed` : "");
        if (more.querySelector(".tl-has-problem")) more.open = true;
    });
    return card("Settings", {step: 3, id: "tl_settings"}, presetRow(), difficultyRow(),
        h("div", {class: "tl-fields"}, top), more);
}

/** @param {Setting[]} settings @param {(setting: Setting) => HTMLElement} make @param {HTMLElement} changes */
function moreSettings(settings, make, changes) {
    /** @type {Map<string, Setting[]>} */
    const groups = new Map();
    for (const setting of settings) groups.set(setting.group, [...(groups.get(setting.group) || []), setting]);
    const sections = [...groups].map(([group, list]) => h("section", {class: "tl-group"},
        h("h4", {class: "tl-subtitle"}, GROUPS[group] || group[0].toUpperCase() + group.slice(1)),
        h("div", {class: "tl-fields"}, list.map((setting) => make(setting)))));
    const nothing = h("p", {class: "tl-note", hidden: true}, "No setting has these words in its name or help.");
    const search = h("input", {type: "search", class: "tl-input tl-search", placeholder: "Search in all settings",
        "aria-label": "Search in more settings", on: {input: () => narrow(search.value, sections, nothing)}});
    const element = fold([`More settings (${settings.length})`, changes], search, nothing, sections);
    element.id = "tl_more_settings";
    return element;
}

/** @param {string} text @param {HTMLElement[]} sections @param {HTMLElement} nothing */
function narrow(text, sections, nothing) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    let any = false;
    for (const section of sections) {
        let shown = 0;
        for (const element of section.querySelectorAll(".tl-field")) {
            const setting = element instanceof HTMLElement && form.settings.get(element.dataset.key || "");
            if (!setting) continue;
            const hay = [setting.label, setting.name, setting.sd_scripts, setting.help, setting.advice]
                .join(" ").toLowerCase();
            element.hidden = !words.every((word) => hay.includes(word));
            shown += element.hidden ? 0 : 1;
        }
        section.hidden = shown === 0;
        any = any || shown > 0;
    }
    nothing.hidden = any;
}
