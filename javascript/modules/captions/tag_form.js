/**
 * The form of the tagging settings, built from the schema. Changed values are stored in this browser, except for the
 * mode in which captions are written, which returns to the safe one after every run and reload.
 */

import {h, setText, store, uniqueId} from "../core/dom.js";
import {pathBox} from "../core/path_box.js";

const MODE = "write.mode";
const UNKEPT = [MODE, "tagger.download", "dataset.train_data_dir", "dataset.images"];

/** @typedef {import("../core/types").Setting} Setting */
/** @typedef {import("../train/values").Value} Value */

/** @param {Setting} setting */
const isNumber = (setting) => setting.type === "int" || setting.type === "float";

export class TagForm {
    /**
     * @param {Setting[]} settings of the schema
     * @param {string} [memory] the storage key of changed values
     * @param {string[]} [unkept] the settings that are not stored
     */
    constructor(settings, memory = "tagging", unkept = UNKEPT) {
        this.settings = new Map(settings.map((setting) => [setting.key, setting]));
        this.memory = memory;
        this.unkept = unkept;
        /** @type {Record<string, Value>} */
        this.changed = store.get(memory, {});
        for (const key of Object.keys(this.changed)) {
            if (!this.settings.has(key) || unkept.includes(key)) delete this.changed[key];
        }
        /** @type {Map<string, {show: () => void, problem: (text: string) => void}>} */
        this.fields = new Map();
        /** Called when a setting has changed. */
        this.changedBy = () => {};
    }

    /** @param {string} key @returns {Value|undefined} undefined if there is no such setting */
    get(key) {
        return key in this.changed ? this.changed[key] : this.settings.get(key)?.default;
    }

    /** @param {string} key of a text setting @returns {string} empty if there is none */
    text(key) {
        const value = this.get(key);
        return typeof value === "string" ? value : "";
    }

    /** @param {string} key @param {Value} value */
    set(key, value) {
        if (JSON.stringify(value) === JSON.stringify(this.settings.get(key)?.default)) delete this.changed[key];
        else this.changed[key] = value;
        const kept = Object.entries(this.changed).filter(([name]) => !this.unkept.includes(name));
        store.set(this.memory, Object.fromEntries(kept));
        this.changedBy();
    }

    /** Set a value in the form and its control. @param {string} key @param {Value} value */
    put(key, value) {
        this.set(key, value);
        this.fields.get(key)?.show();
    }

    /** Reset the write mode to the safe one. */
    makeSafe() {
        this.put(MODE, this.settings.get(MODE)?.default ?? "");
    }

    /** @returns {import("../train/answers").GroupedValues} the settings for the server */
    job() {
        /** @type {import("../train/answers").GroupedValues} */
        const job = {};
        for (const [key, value] of Object.entries(this.changed)) {
            const [group, name] = key.split(".");
            job[group] = {...job[group], [name]: value};
        }
        return job;
    }

    /** @param {string[]} sentences to show next to the settings they name @returns {string[]} those that name none */
    showProblems(sentences) {
        /** @type {string[]} */
        const others = [];
        for (const field of this.fields.values()) field.problem("");
        for (const sentence of sentences) {
            const key = [...this.fields.keys()].find((name) => sentence.includes(name));
            if (key) this.fields.get(key)?.problem(this.inWords(sentence));
            else others.push(this.inWords(sentence));
        }
        return others;
    }

    /** Replace the job file's setting names in a message with the form's labels. @param {string} sentence */
    inWords(sentence) {
        let text = sentence.replace(/^The tag job: /, "");
        for (const setting of this.settings.values()) text = text.replaceAll(setting.key, setting.label);
        return text;
    }
}

/** @param {Setting} setting @param {string} text @returns {Value} the parsed value; the server validates it */
function read(setting, text) {
    if (setting.type === "texts") {
        return text.split(/[\n,]/).map((tag) => tag.trim()).filter((tag) => tag !== "");
    }
    const trimmed = text.trim();
    if (trimmed === "" && setting.optional) return null;
    if (!isNumber(setting)) return text;
    const value = Number(trimmed.replace(/^(-?\d*),(\d+)$/, "$1.$2"));
    return trimmed === "" || Number.isNaN(value) ? trimmed : value;
}

/** @param {Setting} setting @param {Value|undefined} value */
function write(setting, value) {
    if (value === null || value === undefined) return "";
    return Array.isArray(value) ? value.join(", ") : String(value);
}

/**
 * @param {TagForm} form @param {Setting} setting @param {string} id
 * @param {Record<string, string>} words labels of the choices
 * @param {string} empty the placeholder
 * @returns {HTMLElement}
 */
function control(form, setting, id, words, empty) {
    const set = (/** @type {Value} */ value) => form.set(setting.key, value);
    if (setting.type === "bool") {
        return h("input", {id, type: "checkbox", role: "switch", class: "tl-switch", checked: form.get(setting.key) === true,
            on: {change: (event) => set(event.currentTarget.checked)}});
    }
    if (setting.choices.length && setting.type === "texts") return checks(form, setting, id, words);
    if (setting.choices.length) {
        return h("select", {id, class: "tl-input tl-select", value: form.text(setting.key),
            on: {change: (event) => set(event.currentTarget.value)}},
        setting.choices.map((choice) => h("option", {value: choice}, words[choice] || choice)));
    }
    return textBox(form, setting, id, empty);
}

/**
 * One toggle for each choice of a list. @param {TagForm} form @param {Setting} setting @param {string} id
 * @param {Record<string, string>} words labels of the choices
 */
function checks(form, setting, id, words) {
    const chosen = () => {
        const value = form.get(setting.key);
        return Array.isArray(value) ? value.map(String) : [];
    };
    return h("div", {class: "tl-chips", role: "group", "aria-label": setting.label}, setting.choices.map((choice, place) =>
        h("label", {class: "tl-check"}, h("input", {type: "checkbox", id: place ? null : id, data: {choice},
            checked: chosen().includes(choice), on: {change: (event) => {
                const others = chosen().filter((one) => one !== choice);
                const now = event.currentTarget.checked ? [...others, choice] : others;
                form.set(setting.key, setting.choices.filter((one) => now.includes(one)));
            }}}), h("span", {}, words[choice] || choice))));
}

/** @param {TagForm} form @param {Setting} setting @param {string} id @param {string} empty the placeholder */
function textBox(form, setting, id, empty) {
    const set = (/** @type {Value} */ value) => form.set(setting.key, value);
    return h("input", {id, type: "text", class: "tl-input", autocomplete: "off", spellcheck: "false",
        inputmode: isNumber(setting) ? (setting.type === "int" ? "numeric" : "decimal") : null,
        placeholder: setting.optional ? empty : setting.type === "texts" ? "tag, another tag" : null,
        value: write(setting, form.get(setting.key)),
        on: {input: (event) => set(read(setting, event.currentTarget.value))}});
}

/**
 * @param {TagForm} form @param {string} key
 * @param {{words?: Record<string, string>, wide?: boolean, control?: HTMLElement, empty?: string, note?: boolean}} [options]
 *     words: labels of the choices; control: replaces the usual control, or contains one; empty: the placeholder;
 *     note: whether to show the setting's help
 * @returns {HTMLElement}
 */
export function tagField(form, key, options = {}) {
    const setting = form.settings.get(key);
    if (!setting) return h("div", {});
    const id = uniqueId("tag");
    const given = options.control || control(form, setting, id, options.words || {}, options.empty || "no limit");
    const input = /** @type {HTMLInputElement|HTMLSelectElement} */ (given.querySelector("input") || given);
    input.id = id;
    const problem = h("p", {class: "tl-field-problem", id: `${id}-problem`, "aria-live": "polite"});
    const help = [setting.help, setting.advice].filter(Boolean).join(" ");
    input.setAttribute("aria-describedby", `${id}-problem ${id}-help`);
    const element = h("div", {class: `tl-field${options.wide ? " tl-wide" : ""}`, data: {key}, title: help},
        h("div", {class: "tl-field-head"}, h("label", {class: "tl-label", for: id}, setting.label)),
        h("div", {class: "tl-control"}, setting.path && given === input && input instanceof HTMLInputElement
            ? pathBox(input, setting.path) : given), problem,
        h("p", {class: options.note ? "tl-field-note" : "tl-hidden-text", id: `${id}-help`}, help));
    form.fields.set(key, {
        show: () => {
            const value = form.get(key);
            if (setting.type === "texts" && setting.choices.length) {
                for (const box of given.querySelectorAll("input")) {
                    box.checked = Array.isArray(value) && value.map(String).includes(box.dataset.choice || "");
                }
            } else if (input.type === "checkbox") /** @type {HTMLInputElement} */ (input).checked = form.get(key) === true;
            else input.value = write(setting, form.get(key));
        },
        problem: (text) => {
            setText(problem, text);
            element.classList.toggle("tl-has-problem", text !== "");
            input.setAttribute("aria-invalid", String(text !== ""));
        },
    });
    return element;
}
