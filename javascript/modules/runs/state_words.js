// @ts-check
/** Where a run stands and how long it took, in words, from what the server says of it. */

import {format} from "../core/format.js";

/** @typedef {import("../core/types").RunNews} RunNews */

const SHOWN_SECONDS = 60;
/** The states of a run that has a worker. */
export const AT_WORK = ["running", "paused", "held"];
/** The states of a run that may bring news. */
export const OPEN = [...AT_WORK, "waiting"];

/**
 * @param {string} state of the server
 * @param {string[]} control what was asked of the worker and has not happened yet
 * @param {boolean} begun whether a step was made
 * @returns {string} the state, with what was asked for
 */
export function stateNow(state, control, begun) {
    if (AT_WORK.includes(state) && control.includes("stop")) return "stopping";
    if (["running", "held"].includes(state) && control.includes("pause")) return "pausing";
    return state === "running" && !begun ? "starting" : state;
}

/**
 * @param {RunNews} summary
 * @returns {string} " in 4 min (paused 37 min)": the time trained, and beside it the time that the run stood still
 */
export function timeTrained({seconds, still_seconds: still}) {
    if (!seconds) return "";
    return ` in ${format.duration(seconds)}${still && still >= 1 ? ` (paused ${format.duration(still)})` : ""}`;
}

/**
 * @param {{time: number, seconds: number, why: string}|null} last the last time that the run stood still for others
 * @param {{time: number}|null} step the last step
 * @returns {string} "held 6 s for a picture in txt2img", for a minute after it was
 */
export function heldLately(last, step) {
    if (!last || !step || step.time - last.time > SHOWN_SECONDS) return "";
    return `held ${last.seconds < 1 ? "under 1 s" : format.duration(last.seconds)} for ${last.why}`;
}

/**
 * @param {RunNews} summary @param {{name: string, text: string}} phase @param {boolean} stepping
 * @returns {string} when a request is granted: "as soon as this step is done"
 */
export function whenGranted(summary, phase, stepping) {
    if (summary.state === "held") return `as soon as ${summary.held_for || "the webui"} is done`;
    if (stepping) return "as soon as this step is done";
    const text = phase.text.replace(/[.…]+$/, "");
    if (phase.name.startsWith("train")) return "as soon as the next step is done";
    return `as soon as possible (now: ${text || "starting the worker"})`;
}

/**
 * @param {string} text of the event that says how the run got its model, written as it began
 * @param {boolean} open whether the run has not ended
 * @returns {string} the same, in the past for a run that has ended
 */
export function weightsText(text, open) {
    if (open) return text;
    return text.replace(/^Trains on /, "Trained on ").replace(" are in memory once ", " were in memory once ")
        .replace("The model is read from ", "The model was read from ");
}
