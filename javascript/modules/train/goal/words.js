/** The words of the goal panel, and which of its questions belong to which kind of subject. */

import {format} from "../../core/format.js";

/** @typedef {import("../answers").GoalCost} GoalCost */
/** @typedef {import("../answers").GoalPlan} GoalPlan */

/** @type {[string, string][]} */
export const KINDS = [["character", "A character or person"], ["creature", "A creature"], ["vehicle", "A vehicle"],
    ["style", "A style"], ["concept", "A concept: thing, pose or place"], ["outfit", "An outfit"]];
/** @type {[string, string][]} */
export const MATTERS = [["likeness", "Likeness"], ["clothes", "Clothes and details"],
    ["flexibility", "Flexibility"], ["small_file", "Small file"]];
/** @type {[string, string][]} */
export const TIMES = [["", "As long as it needs"], ["30", "Half an hour"], ["60", "An hour"], ["120", "Two hours"],
    ["480", "Overnight (8 hours)"]];
/** @type {[string, string][]} */
export const KNOWN = [["", "Not sure: as measured, if it was"], ["yes", "Yes, it can draw it"], ["no", "No"]];
/** @type {[string, string][]} */
export const QUALITIES = [["", "Judge by their size"], ["good", "Good"], ["mixed", "Mixed"],
    ["poor", "Poor: blurred, inaccurate, odd style"]];

/** @type {Record<string, [string, string][]>} */
const BECOMES = {creature: [["itself", "Kept as it is"], ["humanoid", "Made humanoid"]],
    vehicle: [["itself", "True to life"], ["drawing", "As a drawing"]]};
/** @type {Record<string, string>} */
const LETTERS = {character: "ABCDEFGHI", creature: "DEFGHI", vehicle: "CDEFG"};

/** @param {string} kind @returns {string} the categories that a subject of `kind` can have */
export const lettersOf = (kind) => LETTERS[kind] || "";

/** @param {string} kind @returns {[string, string][]} what a subject of `kind` can become; empty if only itself */
export const becomesOf = (kind) => BECOMES[kind] || [];

/**
 * The answers that belong to the kind of subject; the others are left out.
 * @param {Record<string, import("../values").Value>} answers
 */
export function asked(answers) {
    const kind = String(answers.kind || "character");
    const {category, male, made_into: becomes, elaborate, minutes, known, ...rest} = answers;
    return {...rest, kind, minutes: minutes ? Number(minutes) : null,
        ...(kind !== "style" && (known === "yes" || known === "no") ? {known: known === "yes"} : {}),
        ...(category && lettersOf(kind).includes(String(category)) ? {category} : {}),
        ...(kind === "character" ? {male: Boolean(male)} : {}),
        ...(becomesOf(kind).some(([name]) => name === becomes) ? {made_into: becomes} : {}),
        ...(kind === "concept" || kind === "outfit" ? {elaborate: Boolean(elaborate)} : {})};
}

/** @param {GoalCost} cost @returns {{time: string, memory: string, file: string}} "–" where unknown */
export function costWords(cost) {
    return {time: cost.seconds === null ? "–" : format.duration(cost.seconds),
        memory: cost.memory_bytes === null ? "–" : `${(cost.memory_bytes / 2 ** 30).toFixed(1)} GB`,
        file: cost.file_bytes === null ? "–" : format.bytes(cost.file_bytes)};
}

/** @param {GoalPlan} plan @returns {string} what the plan costs, in a sentence */
export function costSentence({cost}) {
    const {time, memory, file} = costWords(cost);
    const parts = [cost.steps === null ? "" : format.plural(cost.steps, "step"),
        cost.seconds === null ? "" : `about ${time}`, cost.memory_bytes === null ? "" : `${memory} of memory`,
        cost.file_bytes === null ? "" : `${file} for each file`].filter(Boolean);
    const unknown = cost.steps !== null && cost.seconds === null ? " The time is known after a first run on this checkpoint, " +
        "such as a test bake." : "";
    return parts.length ? `${parts.join(", ")}.${unknown}` : "";
}

/**
 * @param {Pick<import("../../core/types").RunNews, "state"|"diverged"|"out_of_memory">} run a test bake that has ended
 * @returns {string} how, to follow its name, and what to do
 */
export function bakeWords({state, diverged, out_of_memory: full}) {
    if (state === "finished") return "is done: make the plan again.";
    if (full) return "ran out of memory: make the plan again, and it will need less.";
    if (diverged) return "diverged: make the plan again, and the rate will be lower.";
    if (state === "failed") return "failed, and Runs says why. Fix that, then bake again.";
    return `was ${state === "stopped" ? "stopped" : "interrupted"}: a plan can use its time, but not what it learned.`;
}

/** @param {GoalPlan} plan @returns {string} what the plan is for, and how much of the form it changes */
export function planSentence(plan) {
    const changed = plan.reasons.filter((one) => one.changed).length;
    const typed = plan.reasons.filter((one) => one.typed).length;
    const poor = plan.quality === "poor" ? "poor images" : "images";
    const set = plan.images ? ` from ${format.number(plan.images)} ${plan.images === 1 ? poor.slice(0, -1) : poor}` : "";
    const yours = typed ? `, ${format.number(typed)} of which you or a preset had set` : "";
    return `A plan for ${plan.family}${set}: ${changed ? format.plural(changed, "setting") + " changed" : "nothing to change"}${yours}.`;
}
