/**
 * The settings, by section. The most important ones are visible and the rest is collapsed; settings without effect
 * are hidden until requested.
 */

import {fill, h, on, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, card, fold, setLabel} from "../../core/parts.js";
import {field as settingField, fieldMakers, tend} from "../fields.js";
import {form} from "../form.js";
import {idle} from "../plan.js";

/** @typedef {import("../../core/types").Setting} Setting */
/** @typedef {import("../values").Field} Field */

/** @type {Map<string, Section>} by name */
const sections = new Map();

/** Settings with their own place on the page, outside their section. */
const ELSEWHERE = ["save.output_name", "dataset.activation_tag"];

class Section {
    /** @param {string} name @param {Setting[]} settings */
    constructor(name, settings) {
        this.name = name;
        this.showIdle = false;
        /** @type {Field[]} */
        this.fields = [];
        const make = (/** @type {Setting} */ setting) => {
            const field = (fieldMakers[setting.key] || settingField)(setting);
            this.fields.push(field);
            return field.element;
        };
        const main = settings.filter((setting) => setting.view === "main").map(make);
        const more = settings.filter((setting) => setting.view === "more").map(make);
        this.count = h("span", {class: "tl-fold-count"});
        this.changes = h("span", {class: "tl-count"});
        this.idleButton = button("", {kind: "quiet", small: true, click: () => {
            this.showIdle = !this.showIdle;
            this.refresh();
        }});
        this.more = fold([this.count, this.changes], h("div", {class: "tl-fields"}, more), this.idleButton);
        this.more.hidden = !more.length;
        this.more.addEventListener("toggle", () => this.refresh());
        this.main = h("div", {class: "tl-fields", hidden: !main.length}, main);
        this.body = h("div", {class: "tl-section-body", data: {section: name}}, this.main, this.more);
        tend(this.fields, () => this.refresh());
        on("notes", () => this.refresh());
        this.refresh();
    }

    refresh() {
        /** @param {Field} field */
        const foldedAway = (field) => idle[field.key] !== undefined && !form.isChanged(field.key);
        const away = this.fields.filter(foldedAway);
        const inFold = this.fields.filter((field) => this.more.contains(field.element));
        const inView = inFold.filter((field) => !away.includes(field)).length;
        const shown = this.showIdle || (!inView && this.more.open);
        for (const field of this.fields) field.element.hidden = away.includes(field) && !shown;
        const changed = inFold.filter((field) => form.isChanged(field.key)).length;
        const only = !inView && inFold.length > 0;
        setText(this.count, only ? `${format.number(inFold.length)} without effect here` : `${format.number(inView)} more`);
        this.main.hidden = this.fields.every((field) => inFold.includes(field) || field.element.hidden);
        setText(this.changes, changed ? `${format.number(changed)} changed` : "");
        this.idleButton.hidden = !away.length || only;
        setLabel(this.idleButton, this.showIdle ? "Hide what has no effect" :
            `Show ${format.number(away.length)} that ${away.length === 1 ? "has" : "have"} no effect here`);
        if (this.more.querySelector(".tl-has-problem")) this.more.open = true;
    }

    /** @param {Field} field scrolled into view, with its collapsed parents opened */
    reveal(field) {
        if (this.more.contains(field.element)) this.more.open = true;
        if (field.element.hidden) {
            this.showIdle = true;
            this.refresh();
        }
    }
}

/** @param {string} name @returns {HTMLElement} the settings of the section `name`, for a card with further content */
export function sectionBody(name) {
    const settings = [...form.settings.values()].filter((setting) => setting.section === name &&
        setting.view !== "hidden" && !ELSEWHERE.includes(setting.key));
    const section = new Section(name, settings);
    sections.set(name, section);
    return section.body;
}

/** @param {string} name @returns {HTMLElement} */
export function sectionCard(name) {
    const element = card(name, {}, sectionBody(name));
    element.classList.add("tl-section");
    return element;
}

/** @param {string[]} keys @returns {HTMLElement} the fields of these settings alone */
export function fieldsOf(keys) {
    const fields = keys.flatMap((key) => {
        const setting = form.settings.get(key);
        return setting ? [settingField(setting)] : [];
    });
    tend(fields);
    const element = h("div", {class: "tl-fields"});
    fill(element, fields.map((field) => field.element));
    return element;
}

/** @param {string} key of a setting @returns {HTMLElement|null} its field, in view; null if there is none */
export function reveal(key) {
    for (const section of sections.values()) {
        const field = section.fields.find((one) => one.key === key);
        if (field) section.reveal(field);
    }
    return document.querySelector(`#tl-panel-train .tl-field[data-key="${key}"]`);
}
