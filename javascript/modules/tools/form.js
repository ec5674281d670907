/** The form of a tool, created from the settings of its job. */

import {TagForm, tagField} from "../captions/tag_form.js";
import {fill, h, on} from "../core/dom.js";
import {host} from "../core/host.js";
import {findings, fold} from "../core/parts.js";
import {pathBox} from "../core/path_box.js";
import {LoraList} from "./lora_list.js";

/** @typedef {import("../core/types").Setting} Setting */
/** @typedef {import("../train/values").Value} Value */

const CHECKPOINTS = ["org", "tuned", "checkpoint"];
const OWN = ["only_curve", "strengths"];
/** @type {Record<string, Record<string, string>>} labels for choices */
const WORDS = {save_precision: {"": "as the checkpoint", float: "float (32 bit)"}, network_type: {"": "automatic"}};

export class ToolForm extends TagForm {
    /** @param {string} command @param {Setting[]} settings */
    constructor(command, settings) {
        super(settings, `tool.${command}`, [`${command}.output_name`, `${command}.only_curve`]);
        this.command = command;
        this.others = h("div", {"aria-live": "polite"});
        const shown = settings.filter(({view, name}) => view !== "hidden" && !OWN.includes(name));
        const more = shown.filter(({view}) => view !== "main");
        this.more = fold("More settings", h("div", {class: "tl-fields"}, more.map((setting) => this.field(setting))));
        this.element = h("div", {class: "tl-tool-form", id: `tl_tool_${command}`},
            h("div", {class: "tl-fields"}, shown.filter(({view}) => view === "main").map((setting) => this.field(setting))),
            more.length ? this.more : null, this.others);
    }

    /** @param {string} name of a setting of this tool */
    key(name) {
        return `${this.command}.${name}`;
    }

    /** @param {Setting} setting */
    field(setting) {
        const {key, name} = setting;
        if (name === "loras") return this.loraList();
        if (name === "lora") return tagField(this, key, {wide: true, control: loraBox(this, key)});
        if (CHECKPOINTS.includes(name)) return tagField(this, key, {wide: true, control: checkpointChoice(this, setting)});
        const wide = ["output_name", "output_dir"].includes(name);
        return tagField(this, key, {wide, words: WORDS[name], empty: "empty", note: setting.view === "more"});
    }

    loraList() {
        const [loras, strengths] = [this.key("loras"), this.key("strengths")];
        const list = new LoraList(asTexts(this.get(loras)), asTexts(this.get(strengths)), (names, given) => {
            this.set(strengths, given);
            this.set(loras, names);
        });
        for (const key of [loras, strengths]) this.fields.set(key, {show: () => {}, problem: list.problem()});
        return list.element;
    }

    /** @param {boolean} onlyCurve @returns {Record<string, Value>} the values to send to the server */
    values(onlyCurve) {
        const values = this.job()[this.command] || {};
        return onlyCurve ? {...values, only_curve: true} : values;
    }

    /** @param {string[]} sentences shown below the settings they name, or at the end @returns {string[]} */
    showProblems(sentences) {
        /** @type {Map<string, string[]>} */
        const said = new Map();
        /** @type {string[]} */
        const others = [];
        for (const sentence of sentences) {
            const key = this.keyOf(sentence);
            if (key) said.set(key, [...(said.get(key) || []), this.inWords(sentence)]);
            else others.push(this.inWords(sentence));
        }
        for (const [key, field] of this.fields) field.problem((said.get(key) || []).join(" "));
        if ([...said.keys()].some((key) => this.settings.get(key)?.view === "more")) this.more.open = true;
        fill(this.others, others.length ? findings(others.map((text) => ({level: "error", text}))) : null);
        return others;
    }

    /** @param {string} sentence @returns {string|null} the first setting that it names */
    keyOf(sentence) {
        for (const [word] of sentence.matchAll(/\b[a-z_]+\b/g)) if (this.fields.has(this.key(word))) return this.key(word);
        return null;
    }

    /** @param {string} sentence @returns {string} with the form's labels for the settings */
    inWords(sentence) {
        let words = sentence.replace(/^The form: /, "").replace(/ Write [a-z_]+=…/, "").replace(/^[a-z_]+: /, "");
        for (const {name, label} of this.settings.values()) {
            if (name.includes("_")) words = words.replaceAll(new RegExp(`\\b${name}\\b`, "g"), label);
            else if (words.startsWith(`${name} `)) words = label + words.slice(name.length);
        }
        return words;
    }
}

/** @param {Value|undefined} value @returns {string[]} */
const asTexts = (value) => (Array.isArray(value) ? value.map(String) : []);

/**
 * A text box that suggests every LoRA in the webui's folder.
 * @param {ToolForm} form @param {string} key
 */
function loraBox(form, key) {
    const box = h("input", {type: "text", class: "tl-input", value: form.text(key), placeholder: "Type or choose a LoRA",
        on: {input: () => form.set(key, box.value)}});
    return pathBox(box, "lora");
}

/** @param {ToolForm} form @param {Setting} setting */
function checkpointChoice(form, setting) {
    const needed = setting.view === "main";
    const select = h("select", {class: "tl-input tl-select", on: {change: () => form.set(setting.key, select.value)}});
    const offer = () => {
        const files = host ? host.checkpoints : [];
        const chosen = form.text(setting.key);
        fill(select, h("option", {value: ""}, needed ? "Choose a checkpoint" : "not needed"),
            files.map(({path, title}) => h("option", {value: path}, title)));
        if (chosen && !files.some(({path}) => path === chosen)) {
            select.append(h("option", {value: chosen}, `${chosen} (not in the list)`));
        }
        select.value = chosen;
    };
    on("host", offer);
    offer();
    return select;
}
