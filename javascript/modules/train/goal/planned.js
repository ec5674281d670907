/** The plan that the form was filled from: why each value was chosen, and by what the form is judged. */

import {store} from "../../core/dom.js";
import {form} from "../form.js";

/** @typedef {import("../answers").GoalPlan} GoalPlan */
/** @typedef {import("../values").Value} Value */
/** @typedef {{letter: string, images_seen: number, of: string, reasons: Record<string, {value: Value, text: string}>}} Planned */

/** @type {Planned} */
const NONE = {letter: "", images_seen: 0, of: "", reasons: {}};

/** @type {Planned} */
export let planned = {...NONE, ...store.get("plan", NONE)};

/** Images and base, for which alone a length is wanted. */
const subject = () => JSON.stringify([form.get("dataset.train_data_dir"), form.get("base.checkpoint")]);

/** @returns {number} the images that should be seen, 0 if nothing says */
export const imagesWanted = () => (planned.of === subject() ? planned.images_seen : 0);

/** @param {GoalPlan|null} plan null if its values were taken back */
export function setPlanned(plan) {
    planned = plan ? {letter: plan.letter, images_seen: plan.images_seen, of: subject(), reasons: Object.fromEntries(
        plan.reasons.filter((one) => one.rule !== "clean").map((one) => [one.key, {value: one.after, text: one.reason}]))} : NONE;
    store.set("plan", plan ? planned : undefined);
}

/**
 * The form is judged by this length from now on.
 * @param {number} imagesSeen
 */
export function setLength(imagesSeen) {
    planned = {...planned, images_seen: imagesSeen, of: subject()};
    store.set("plan", planned);
}

/** @param {string} key @returns {string} why the form has this value; empty if it is not the plan's */
export function reasonOf(key) {
    const found = planned.reasons[key];
    return found && JSON.stringify(found.value) === JSON.stringify(form.get(key)) ? `Planned: ${found.text}` : "";
}
