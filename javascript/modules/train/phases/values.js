/** The training phases in the form: a list of lengths and changes, each relative to the phase before. */

import {form} from "../form.js";

/** @typedef {import("../values").Value} Value */
/** @typedef {import("../values").Phase} Phase */

const KEY = "training.phases";

/** @returns {Phase[]} those after the first, which the form itself is */
export function phasesOf() {
    const phases = form.get(KEY);
    return Array.isArray(phases) ? /** @type {Phase[]} */ (phases) : [];
}

/** @param {Phase[]} phases */
export const setPhases = (phases) => form.set(KEY, phases);

/** @param {Phase} phase @returns {Record<string, Record<string, Value>>} its changes by group */
const groupsOf = (phase) => {
    const groups = Object.entries(phase).filter(([name]) => !["name", "epochs", "steps"].includes(name));
    return /** @type {Record<string, Record<string, Value>>} */ (Object.fromEntries(groups));
};

/** @param {Phase} phase @returns {string[]} the keys of the settings that it changes */
export const changedKeys = (phase) => Object.entries(groupsOf(phase)).flatMap(([group, settings]) =>
    Object.keys(settings || {}).map((name) => `${group}.${name}`));

/** @param {number} index @param {Partial<Phase>} change @param {string[]} [without] fields to leave out */
export function changePhase(index, change, without = []) {
    setPhases(phasesOf().map((phase, place) => {
        if (place !== index) return phase;
        const kept = Object.fromEntries(Object.entries({...phase, ...change}).filter(([name]) => !without.includes(name)));
        return /** @type {Phase} */ (kept);
    }));
}

/** @param {Phase[]} phases @param {number} index @param {string} key @returns {Value|undefined} before that phase */
function inherited(phases, index, key) {
    const [group, name] = key.split(".");
    for (let place = index - 1; place >= 0; place -= 1) {
        const settings = groupsOf(phases[place])[group];
        if (settings && name in settings) return settings[name];
    }
    return form.get(key);
}

/** @param {number} index of a phase after the first @returns {import("../values").Values} for its fields */
export function valuesOf(index) {
    const own = (/** @type {string} */ key) => {
        const [group, name] = key.split(".");
        const phase = phasesOf()[index];
        const settings = phase ? groupsOf(phase)[group] : undefined;
        return settings && name in settings ? settings : undefined;
    };
    const defaultOf = (/** @type {string} */ key) => inherited(phasesOf(), index, key);
    return {
        defaultOf,
        isChanged: (key) => own(key) !== undefined,
        get: (key) => {
            const settings = own(key);
            return settings ? settings[key.split(".")[1]] : defaultOf(key);
        },
        set: (key, value) => {
            const [group, name] = key.split(".");
            const phase = phasesOf()[index];
            if (phase) changePhase(index, {[group]: {...groupsOf(phase)[group], [name]: value}});
        },
        reset: (key) => {
            const [group, name] = key.split(".");
            const phase = phasesOf()[index];
            if (!phase) return;
            const kept = Object.fromEntries(Object.entries(groupsOf(phase)[group] || {}).filter(([other]) => other !== name));
            changePhase(index, {[group]: kept}, Object.keys(kept).length ? [] : [group]);
        },
    };
}

/**
 * Moves the boundary between two phases that are counted in epochs.
 * @param {number} left -1 for the first phase @param {number} epochs of the left one
 */
export function moveBoundary(left, epochs) {
    const sum = epochsOf(left) + epochsOf(left + 1);
    const first = Math.max(1, Math.min(sum - 1, Math.round(epochs)));
    if (!sum || first === epochsOf(left)) return;
    const phases = phasesOf().map((phase, place) => (place === left ? {...phase, epochs: first} :
        place === left + 1 ? {...phase, epochs: sum - first} : phase));
    if (left < 0) form.setAll({"training.max_train_epochs": first, [KEY]: phases});
    else setPhases(phases);
}

/** @param {number} index -1 for the first phase @returns {number} NaN if it is counted in steps */
export function epochsOf(index) {
    if (index < 0) return form.get("training.max_train_steps") ? NaN : Number(form.get("training.max_train_epochs"));
    return Number(phasesOf()[index]?.epochs ?? NaN);
}
