/** The control of a setting, created from its schema. */

import {h, on, setText, uniqueId} from "../core/dom.js";
import {button} from "../core/parts.js";
import {pathBox} from "../core/path_box.js";
import {family} from "./family.js";
import {form} from "./form.js";
import {reasonOf} from "./goal/planned.js";
import {idle, notes} from "./plan.js";

/** @typedef {import("../core/types").Setting} Setting */
/** @typedef {import("./values").Value} Value */
/** @typedef {import("./values").Field} Field */
/** @typedef {import("./values").Control} Control */
/** @typedef {import("./values").Values} Values */

/** @type {Record<string, (setting: Setting) => Field>} custom fields, by the key of the setting */
export const fieldMakers = {};

/** @param {Setting} setting */
const isNumber = (setting) => setting.type === "int" || setting.type === "float";
/** @param {Setting} setting */
const isList = (setting) => setting.type === "texts" || setting.type === "numbers";

/** @param {Setting} setting @param {string} text @returns {Value} the parsed text; the server validates it */
function parse(setting, text) {
    const trimmed = text.trim();
    if (isList(setting)) {
        const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
        return setting.type === "numbers" ? lines.map(numberOrText) : lines;
    }
    if (trimmed === "" && setting.optional) return null;
    return isNumber(setting) ? numberOrText(trimmed) : text;
}

/** @param {string} text @returns {number|string} */
function numberOrText(text) {
    const value = Number(text.replace(/^(-?\d*),(\d+)$/, "$1.$2"));
    return text === "" || Number.isNaN(value) ? text : value;
}

/** @param {Setting} setting @param {Value|undefined} value @returns {string} */
function write(setting, value) {
    if (value === null || value === undefined) return "";
    return isList(setting) && Array.isArray(value) ? value.join("\n") : String(value);
}

/** @param {Value|undefined} value @returns {string} the value in a sentence */
function inWords(value) {
    if (value === null || value === "" || (Array.isArray(value) && !value.length)) return "empty";
    if (value === true) return "on";
    if (value === false) return "off";
    return Array.isArray(value) ? value.join(", ") : String(value);
}

/** @param {KeyboardEvent & {currentTarget: HTMLInputElement|HTMLTextAreaElement}} event @param {Setting} setting */
function stepByKey(event, setting) {
    const direction = event.key === "ArrowUp" ? 1 : event.key === "ArrowDown" ? -1 : 0;
    const box = event.currentTarget;
    if (!direction || setting.type !== "int") return;
    const before = Number(box.value);
    if (box.value.trim() === "" || !Number.isInteger(before)) return;
    const minimum = setting.minimum === null ? -Infinity : setting.minimum;
    const maximum = setting.maximum === null ? Infinity : setting.maximum;
    const after = Math.min(maximum, Math.max(minimum, before + direction * (event.shiftKey ? 10 : 1)));
    box.value = String(after);
    box.dispatchEvent(new Event("input", {bubbles: true}));
    event.preventDefault();
}

/** @param {Setting} setting @param {string} id @param {Values} values */
function select(setting, id, values) {
    return h("select", {id, class: "tl-input tl-select", value: String(values.get(setting.key) ?? ""),
        on: {change: (event) => values.set(setting.key, event.currentTarget.value)}},
    setting.choices.map((choice) => h("option", {value: choice}, choice)));
}

/** @param {Setting} setting @param {string} id @param {Values} values */
function toggle(setting, id, values) {
    return h("input", {id, type: "checkbox", role: "switch", class: "tl-switch",
        checked: values.get(setting.key) === true,
        on: {change: (event) => values.set(setting.key, event.currentTarget.checked)}});
}

/** @param {Setting} setting @param {string} id @param {Values} values */
function textBox(setting, id, values) {
    /** @type {import("../core/elements").Listeners<HTMLInputElement|HTMLTextAreaElement>} */
    const listener = {input: (event) => values.set(setting.key, parse(setting, event.currentTarget.value)),
        keydown: (event) => stepByKey(event, setting)};
    if (isList(setting)) {
        return h("textarea", {id, class: "tl-input tl-textarea", rows: "3", spellcheck: "false", on: listener,
            value: write(setting, values.get(setting.key)), placeholder: "One a line"});
    }
    return h("input", {id, type: "text", class: "tl-input", autocomplete: "off", spellcheck: "false",
        inputmode: isNumber(setting) ? (setting.type === "int" ? "numeric" : "decimal") : null,
        value: write(setting, values.get(setting.key)), on: listener,
        placeholder: setting.optional ? "empty" : null});
}

/** @param {Setting} setting @param {string} id @param {Values} values @returns {Control} */
function control(setting, id, values) {
    if (setting.choices && setting.choices.length && !isList(setting)) return select(setting, id, values);
    return setting.type === "bool" ? toggle(setting, id, values) : textBox(setting, id, values);
}

/** Adds completion and browsing to a path. @param {Setting} setting @param {Control} input */
function boxed(setting, input) {
    return setting.path && input instanceof HTMLInputElement ? pathBox(input, setting.path) : input;
}

/**
 * @param {Setting} setting
 * @param {Values} [values] where its value is kept; the form by default
 * @returns {Field}
 */
export function field(setting, values = form) {
    const id = uniqueId("field");
    const {label} = setting;
    const input = control(setting, id, values);
    const kind = setting.type === "bool" ? "switch" : isList(setting) ? "list" : "plain";
    const problem = h("p", {class: "tl-field-problem", id: `${id}-problem`, "aria-live": "polite"});
    const unused = h("p", {class: "tl-field-note", hidden: true});
    const backTo = () => `Set ${label} back to ${inWords(values.defaultOf(setting.key))}`;
    const reset = button(backTo(), {kind: "quiet", icon: "reset", iconOnly: true,
        small: true, click: () => {
            values.reset(setting.key);
            input.focus({preventScroll: true});
        }});
    input.setAttribute("aria-describedby", `${id}-problem ${id}-help`);
    const element = h("div", {class: `tl-field tl-field-${kind}${kind === "list" || setting.path ? " tl-wide" : ""}`,
        data: {key: setting.key}},
    h("div", {class: "tl-field-head"}, h("label", {class: "tl-label", for: id}, label), reset),
    h("code", {class: "tl-field-name", title: setting.sd_scripts || setting.name}, setting.sd_scripts || setting.name),
    h("div", {class: "tl-control"}, boxed(setting, input), setting.unit ? h("span", {class: "tl-unit"}, setting.unit) : null),
    problem, unused, h("p", {class: "tl-hidden-text", id: `${id}-help`}, setting.help));

    const refresh = () => {
        const changed = values.isChanged(setting.key) && !blank(values.defaultOf(setting.key));
        element.classList.toggle("tl-changed", changed);
        reset.hidden = !changed;
        reset.title = backTo();
        reset.setAttribute("aria-label", backTo());
        const reason = idle[setting.key];
        const unusedHere = (family && family.unused[setting.key]) || (reason ? `Has no effect: ${form.inWords(reason)}` : "");
        const note = values === form ? notes[setting.key] || unusedHere : "";
        const why = values === form ? [reasonOf(setting.key), note].filter(Boolean).join(" ") : "";
        setText(unused, why);
        unused.hidden = why === "";
        element.classList.toggle("tl-unused", (unusedHere !== "" && note !== "") || note.includes("has no effect"));
        const value = values.get(setting.key);
        if (input.type === "checkbox") /** @type {HTMLInputElement} */ (input).checked = Boolean(value);
        else if (!same(setting, input, value)) input.value = write(setting, value);
    };
    const showProblem = (/** @type {string} */ text) => {
        setText(problem, text);
        element.classList.toggle("tl-has-problem", text !== "");
        input.setAttribute("aria-invalid", String(text !== ""));
    };
    refresh();
    return {key: setting.key, element, control: input, refresh, problem: showProblem};
}

/** A required text is not marked as changed. @param {Value|undefined} value */
const blank = (value) => value === "" || (Array.isArray(value) && !value.length);

/**
 * Whether the box already has this value: "1.0" must not turn into "1" while the user types.
 * @param {Setting} setting @param {Control} input @param {Value|undefined} value
 */
function same(setting, input, value) {
    if (input.tagName === "SELECT") return input.value === value;
    return JSON.stringify(parse(setting, input.value)) === JSON.stringify(value);
}

/**
 * Keeps fields in sync with the form, the webui and the problems.
 * @param {Field[]} fields
 * @param {() => void} [after]
 */
export function tend(fields, after = () => {}) {
    on("setting", ({keys}) => {
        for (const field of fields) if (keys.includes(field.key)) field.refresh();
        after();
    });
    on("host", () => fields.forEach((field) => field.key === "base.clip_skip" && field.refresh()));
    for (const event of /** @type {const} */ (["family", "notes"])) on(event, () => fields.forEach((field) => field.refresh()));
    on("problems", (problems) => {
        for (const field of fields) field.problem(problems[field.key] || "");
        after();
    });
}

export {inWords as valueInWords};
