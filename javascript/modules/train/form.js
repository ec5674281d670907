/**
 * The current values of the form. Names, defaults and limits come from the schema; only changed values are stored, in
 * this browser.
 */

import {api, emit, later, store} from "../core/dom.js";
import {host} from "../core/host.js";
import {family} from "./family.js";

/** @typedef {import("../core/types").Setting} Setting */
/** @typedef {import("./values").Value} Value */

/** @type {Map<string, Setting>} */
const settings = new Map();
/** @type {Record<string, string>} sd-scripts' options that are not settings here, with the reason */
const options = {};
/** @type {import("../core/types").Schema["optimizers"]} */
const optimizers = {};
/** @type {string[]} the keys that a training phase can change */
const ofPhases = [];
/** @type {Record<string, Value>} */
let changed = store.get("form", {});
/** @type {Promise<void>|null} */
let loading = null;

/** Stored by the server for its folder, so that every browser has it. */
const OF_FOLDER = "dataset.activation_tag";

const remember = later(() => {
    const {[OF_FOLDER]: word, ...others} = changed;
    store.set("form", word === undefined || changed["dataset.train_data_dir"] ? others : changed);
}, 200);

/** @returns {Promise<void>} resolves when the schema is loaded; requested once */
function load() {
    if (!loading) {
        loading = api("schema").then((schema) => {
            for (const group of schema.groups) {
                for (const setting of group.settings) settings.set(setting.key, setting);
            }
            Object.assign(optimizers, schema.optimizers);
            Object.assign(options, schema.options);
            ofPhases.push(...schema.phase_settings);
            for (const key of Object.keys(changed)) if (!settings.has(key)) delete changed[key];
        });
        loading.catch(() => {
            loading = null;
        });
    }
    return loading;
}

/** @param {unknown} one @param {unknown} other */
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/**
 * The default of a setting: the family's, the schema's, or the webui's.
 * @param {string} key @returns {Value|undefined} undefined until the schema is loaded
 */
function defaultOf(key) {
    const own = family && family.defaults;
    if (own && key in own) return own[key];
    if (key === "base.clip_skip" && host && host.clip_skip) return host.clip_skip;
    const setting = settings.get(key);
    return setting ? setting.default : undefined;
}

/** @param {string} key @returns {Value|undefined} undefined until the schema is loaded */
function get(key) {
    return key in changed ? changed[key] : defaultOf(key);
}

/** @param {string} key of a setting that is a text @returns {string} empty where there is none */
function text(key) {
    const value = get(key);
    return typeof value === "string" ? value : "";
}

/** @param {string} key @param {Value} value */
function set(key, value) {
    if (same(get(key), value)) return;
    if (same(defaultOf(key), value)) delete changed[key];
    else changed[key] = value;
    remember();
    emit("setting", {keys: [key]});
}

/** @param {Record<string, Value>} values by key, set as one change */
function setAll(values) {
    for (const [key, value] of Object.entries(values)) {
        if (same(defaultOf(key), value)) delete changed[key];
        else changed[key] = value;
    }
    remember();
    emit("setting", {keys: Object.keys(values)});
}

/** @param {string} key */
function reset(key) {
    if (!(key in changed)) return;
    delete changed[key];
    remember();
    emit("setting", {keys: [key]});
}

/**
 * @param {import("./job").Job|import("./answers").GroupedValues} job values to fill in
 * @param {string[]} [but] keys to skip
 */
function take(job, but = []) {
    const keys = [];
    for (const [group, values] of /** @type {[string, Record<string, Value>|undefined][]} */ (Object.entries(job))) {
        for (const [name, value] of Object.entries(values || {})) {
            const key = `${group}.${name}`;
            if (!settings.has(key) || but.includes(key)) continue;
            if (same(defaultOf(key), value)) delete changed[key];
            else changed[key] = value;
            keys.push(key);
        }
    }
    remember();
    emit("setting", {keys});
}

/** @returns {Record<string, Value>} everything that is not a default, for `restore` */
const snapshot = () => ({...changed});

/** @param {Record<string, Value>} values of a snapshot */
function restore(values) {
    const keys = [...new Set([...Object.keys(changed), ...Object.keys(values)])];
    changed = {...values};
    remember();
    emit("setting", {keys});
}

/** @returns {import("./answers").GroupedValues} the values to send to the server: everything that is not a default */
function job() {
    /** @type {import("./answers").GroupedValues} */
    const job = {};
    for (const [key, value] of Object.entries(changed)) {
        const [group, name] = key.split(".");
        job[group] = job[group] || {};
        job[group][name] = value;
    }
    return job;
}

/**
 * Replaces the setting names of the job file in a problem with the labels of the form.
 * @param {string} sentence
 */
function inWords(sentence) {
    let words = sentence.replace(/^The (job|form): /, "");
    for (const setting of [...settings.values()].sort((one, other) => other.name.length - one.name.length)) {
        words = words.replace(new RegExp(`\\b(${setting.group}\\.)?${setting.name}\\b`, "g"), (found, group) =>
            (group || found.includes("_") ? setting.label : found));
    }
    return words;
}

/** @param {string} sentence @returns {string|null} the key of the setting that a problem is about */
function keyOf(sentence) {
    for (const [found] of sentence.matchAll(/\b[a-z_]+\.[a-z_0-9]+\b/g)) if (settings.has(found)) return found;
    for (const setting of settings.values()) {
        if (setting.name.includes("_") && new RegExp(`\\b${setting.name}\\b`).test(sentence)) return setting.key;
    }
    return null;
}

export const form = {load, get, text, set, setAll, reset, optimizers, options, ofPhases, take, job, defaultOf, snapshot, restore, inWords, keyOf, settings,
    /** @param {string} key */
    isChanged: (key) => key in changed};
