/** The typed values of the setting to vary. */

/** @typedef {import("../../core/types").Setting} Setting */
/** @typedef {import("../../train/values").Value} Value */

const EMPTY = ["empty", "none"];

/**
 * Numbers are separated by commas, spaces or lines, texts by lines. A list has its items on one line, separated by " | ".
 * @param {Setting} setting @param {string} text
 * @returns {Value[]} what is not a number stays text, so that the server names it
 */
export function typedValues({type, optional}, text) {
    const isNumber = type === "int" || type === "float";
    const parts = text.split(isNumber ? /[\s,;]+/ : "\n").map((part) => part.trim()).filter(Boolean);
    return parts.map((part) => {
        if (optional && EMPTY.includes(part.toLowerCase())) return null;
        if (isNumber) return numberOrText(part);
        if (type === "bool") return {on: true, true: true, off: false, false: false}[part.toLowerCase()] ?? part;
        if (type === "texts") return part.split(" | ");
        if (type === "numbers") return part.split(" | ").map(numberOrText);
        return part;
    });
}

/** @param {string} text @returns {number|string} */
function numberOrText(text) {
    const value = Number(text);
    return Number.isNaN(value) ? text : value;
}

/** @param {Setting} setting @returns {string} how to type several values */
export function typingHelp({type, optional}) {
    const empty = optional ? " “empty” leaves it empty." : "";
    if (type === "int" || type === "float") return `Separate them with commas.${empty}`;
    return `One a line${type === "texts" || type === "numbers" ? ", the items of each separated by “ | ”" : ""}.${empty}`;
}

/**
 * @param {Value[]} values
 * @returns {Value[]} numbers in ascending order, everything else as it was
 */
export function sorted(values) {
    return values.every((value) => typeof value === "number") ? [...values].sort((one, other) => Number(one) - Number(other)) : values;
}
