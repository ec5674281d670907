/** The card "Settings": presets and names; the settings themselves are in sections. */

import {h, store} from "../core/dom.js";
import {card} from "../core/parts.js";
import {knowsButton} from "./knows/panel.js";
import {triggerNote} from "./images/trigger_word.js";
import {timeline} from "./phases/timeline.js";
import {presetRow} from "./presets/presets.js";
import {rateNote} from "./sections/rates.js";
import {settingsSearch} from "./sections/search.js";
import {fieldsOf, sectionCard} from "./sections/sections.js";

/** @returns {HTMLElement} needs the schema to be loaded */
export function settingsCard() {
    const fields = fieldsOf(["save.output_name", "dataset.activation_tag"]);
    fields.querySelector('[data-key="dataset.activation_tag"]')?.append(triggerNote(), knowsButton());
    return card("Settings", {step: 3, id: "tl_settings"}, presetRow(), fields);
}

/** @returns {HTMLElement} the search, and the switch for sd-scripts' names */
export function formHead() {
    const names = h("input", {type: "checkbox", role: "switch", class: "tl-switch", id: "tl_names",
        checked: store.get("names", true), on: {change: () => {
            store.set("names", names.checked);
            show();
        }}});
    const show = () => element.closest(".tl-columns")?.classList.toggle("tl-no-names", !names.checked);
    const element = h("div", {class: "tl-form-head"}, settingsSearch(),
        h("label", {class: "tl-names", for: "tl_names"}, names, "sd-scripts names"));
    queueMicrotask(show);
    return element;
}

/** @returns {HTMLElement} with the timeline of training phases */
export function scheduleCard() {
    const element = sectionCard("Schedule");
    element.querySelector(".tl-card-body")?.append(timeline());
    return element;
}

/** @returns {HTMLElement} with a note if the rates were changed with the optimizer */
export function optimizerCard() {
    const element = sectionCard("Optimizer");
    element.querySelector(".tl-card-body")?.prepend(rateNote());
    return element;
}
